"""The cases of the sheet of edits."""

import torch
from edits import CASES, Done, compared, draw_sheet
from tests.tiny_model import tiny_parts

from fictile.model import Model


def test_there_are_eight_cases_and_each_changes_a_part_of_its_picture() -> None:
    assert len(CASES) == 8
    assert len({(case.drawn, case.asked) for case in CASES}) == 8
    for case in CASES:
        amount = case.mask((256, 256)).amount
        left, top, width, height = case.pixels((256, 256))
        inside = amount[top : top + height, left : left + width]
        assert amount.sum() == inside.sum() > 1000
        assert (amount == 0).float().mean() > 0
        assert (inside[0, 0] == 0) == case.round
        assert inside[:, width // 2].min() == 1


def test_what_a_part_is_nearest_to_is_found_in_it_alone() -> None:
    """Drawings of the asked words, put into the mask, are nearest to the asked words."""
    model = Model(tiny_parts())
    words = [word for case in CASES[4:6] for word in (case.drawn, case.asked)]
    drawn = {word: model.generate(word, seed=7)[0].pixels for word in words}
    assert len({pixels.sum().item() for pixels in drawn.values()}) == 4
    done = [Done(case=case, before=drawn[case.drawn], after=drawn[case.asked]) for case in CASES[4:6]]
    (before, after, _, near), alone = compared(model, done)
    assert (before, after, near) == ("a house", "a castle", "1.00")
    assert len(alone) == 4
    assert draw_sheet(done).size == (2 * (2 * 32 + 12 + 24), 32 + 28 + 24)
    assert torch.equal(done[0].before, drawn["a house"])
