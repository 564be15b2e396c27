"""Whether an autoencoder belongs to a denoiser."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from fictile.autoencoder import AnyAutoencoder, Normalisation
from fictile.denoiser import Conditioning, Denoiser
from fictile.latent import SPACES, LatentSpace
from fictile.matching.colours import halves, observe
from fictile.matching.decide import Claim, behaviour, claimed, fitting, units_in
from fictile.matching.judge import judge, judged_pictures
from fictile.matching.latents import encoded, likeness
from fictile.matching.references import reference
from fictile.matching.subjects import DenoiserSubject, VaeSubject
from fictile.matching.verdict import THRESHOLD, Evidence, Kind, Source, Verdict

_UNNAMED = 0.2  # that two trained spaces of different names are one after all: an encoder that was trained on a little


@dataclass(frozen=True, kw_only=True)
class _Finding:
    """A piece of evidence, and the probability of belonging that it gives; None where it only informs."""

    evidence: Evidence
    belongs: float | None = None
    speaks: str | None = None  # the published space that it shows the autoencoder to speak
    denies: str | None = None  # and the one that it shows it not to speak


def match(denoiser: DenoiserSubject, vae: VaeSubject) -> Verdict:
    """Whether latents of `denoiser` are for `vae`.

    What both say of themselves is read first. Unless a hash proves it, their behaviour is then looked at, as far as it
    is at hand: latents beside those of the autoencoder that came with the denoiser, published colours, and what the
    denoiser makes of them. A verdict needs one finding that is sure and none that surely denies it.
    """
    claim, told = claimed(vae)
    findings = [_Finding(evidence=evidence, speaks=claim.space.id if claim else None) for evidence in told]
    if misfit := _shape(denoiser, vae):
        return _verdict(denoiser, vae, [*findings, misfit])
    if denoiser.space and claim:
        findings.append(_names(denoiser, denoiser.space, claim))
        if claim.proven and findings[-1].belongs != _UNNAMED:
            return _verdict(denoiser, vae, findings)
    encodes, _ = halves(vae.network)
    if encodes and denoiser.autoencoder:
        findings += _latents(denoiser.autoencoder, vae)
    findings += _colours(denoiser, vae)
    if encodes and denoiser.denoiser and denoiser.unasked:
        findings += _judged(denoiser.denoiser, denoiser.unasked, vae, denoiser.autoencoder)
    return _verdict(denoiser, vae, findings)


def _shape(denoiser: DenoiserSubject, vae: VaeSubject) -> _Finding | None:
    """What cannot fit, whatever is in it."""
    raw, wanted = vae.network.spec, denoiser.space
    known = [vae.normalisation] if vae.normalisation else [units_in(vae, space) for space in fitting(vae)]
    patches = {units.patch for units in known if units} or {1}
    made = {(raw.channels * patch**2, raw.factor * patch) for patch in patches}
    if wanted:
        fits = (wanted.channels, wanted.factor) in made
    else:
        fits = denoiser.channels is None or denoiser.channels in {channels for channels, _ in made}
    if fits:
        return None
    what = " or ".join(f"{channels} channels at 1/{factor}" for channels, factor in sorted(made))
    return _found("shape", "the shape of its latents", f"It makes latents of {what}.", 0.0)


def _names(denoiser: DenoiserSubject, wanted: LatentSpace, claim: Claim) -> _Finding:
    """Both sides have a name."""
    same = claim.space == wanted
    because = f" ({denoiser.because})" if denoiser.because else ""
    says = f"{denoiser.name} works in {wanted.id}{because}, which is {'the same' if same else 'another space'}."
    both_trained = claim.space.id not in SPACES and wanted.id not in SPACES
    belongs = claim.confidence if same else _UNNAMED if both_trained else 1 - claim.confidence
    return _found("metadata", "the names of both spaces", says, belongs, speaks=claim.space.id)


def _latents(own: AnyAutoencoder, vae: VaeSubject) -> Iterable[_Finding]:
    """The same pictures, as the model's own autoencoder encodes them and as this one does."""
    units = _units(vae, own.space, own)
    if units is None or units.channels != own.normalisation.channels:
        return
    alike = likeness(encoded(own.network, own.normalisation), encoded(vae.network, units))
    says = (
        f"Each channel correlates by {alike.worst:.2f} or more with that of the model's own autoencoder, "
        f"and they are {alike.scale:.2f} times as large."
    )
    yield _found("latents", "its latents of the same pictures", says, alike.confidence)


def _colours(denoiser: DenoiserSubject, vae: VaeSubject) -> Iterable[_Finding]:
    """What colours say of the wanted space; and of others, where they are sure."""
    spaces = fitting(vae)
    if all(reference(space) is None for space in spaces):
        return
    for space, belief, evidence in behaviour(vae, spaces, observe(vae.network)):
        sure = belief if denoiser.space and space == denoiser.space.id else 1 - belief
        informs = denoiser.space is None or (space != denoiser.space.id and belief < THRESHOLD)
        yield _Finding(
            evidence=evidence,
            belongs=None if informs else sure,
            speaks=space if belief >= THRESHOLD else None,
            denies=space if belief <= 1 - THRESHOLD else None,
        )


@torch.no_grad()
def _judged(
    denoiser: Denoiser, unasked: Conditioning, vae: VaeSubject, own: AnyAutoencoder | None
) -> Iterable[_Finding]:
    """The denoiser's own word. It decides nothing for a space whose denoiser was not measured."""
    units = _units(vae, denoiser.space, own)
    if units is None or units.channels != denoiser.space.channels:
        return
    latents = encoded(vae.network, units, judged_pictures(denoiser.space.id))
    found = judge(denoiser, unasked, latents)
    left = "Denoised once, they keep " + ", ".join(f"{value:.2f}" for value in found.curve) + " of a little noise"
    if found.excess is None:
        says = f"{left}; what is usual for this denoiser has not been measured."
        yield _Finding(evidence=Evidence(source="denoiser", looked_at="the denoiser", says=says, weight=0.0))
    else:
        says = (
            f"{left}, {found.excess:.2f} times what its own autoencoder's keep, "
            f"and are {found.scale:.2f} times as large."
        )
        yield _found("denoiser", "the denoiser", says, found.confidence)


def _units(vae: VaeSubject, space: LatentSpace, own: AnyAutoencoder | None) -> Normalisation | None:
    """Its own units; else those of the space; else those of the model's autoencoder, if it has as many channels."""
    if units := vae.normalisation or units_in(vae, space.id):
        return units
    fits = own is not None and own.normalisation.raw_channels == vae.network.spec.channels
    return own.normalisation if own is not None and fits else None


def _found(source: Source, looked_at: str, says: str, belongs: float, speaks: str | None = None) -> _Finding:
    evidence = Evidence(source=source, looked_at=looked_at, says=says, weight=abs(2 * belongs - 1))
    return _Finding(evidence=evidence, belongs=belongs, speaks=speaks)


def _verdict(denoiser: DenoiserSubject, vae: VaeSubject, findings: list[_Finding]) -> Verdict:
    told = [finding.belongs for finding in findings if finding.belongs is not None]
    highest, lowest = max(told, default=0.5), min(told, default=0.5)
    accepted, refused = highest >= THRESHOLD, lowest <= 1 - THRESHOLD
    kind: Kind = "belongs" if accepted and not refused else "foreign" if refused and not accepted else "cannot tell"
    spoken = [finding.speaks for finding in findings if finding.speaks in SPACES]
    wanted = denoiser.space
    other = next((SPACES[space] for space in spoken if space and not (wanted and space == wanted.id)), None)
    denied = {finding.denies for finding in findings}
    if wanted and accepted:  # and denied as well, or it would belong
        denied.discard(wanted.id)
    return Verdict(
        kind=kind,
        denoiser=denoiser.name,
        vae=vae.name,
        denoiser_space=wanted,
        vae_space=wanted if kind == "belongs" else other if kind == "foreign" else None,
        confidence={"belongs": highest, "foreign": 1 - lowest}.get(kind, max(highest, 1 - lowest)),
        evidence=tuple(finding.evidence for finding in findings),
        candidates=tuple(space for space in fitting(vae) if space not in denied) if kind == "cannot tell" else (),
    )
