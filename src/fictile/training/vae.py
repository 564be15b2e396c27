"""Training a KL autoencoder, and measuring the scale and shift of its latents."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from rich.console import Console
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss

from fictile.autoencoder import KL, KLAutoencoder, Normalisation, as_kl
from fictile.checkpoint import load_autoencoder, save_autoencoder
from fictile.engine import Runtime
from fictile.fidelity import Perceptual
from fictile.files import written_whole
from fictile.training.discriminator import PatchDiscriminator, balance, hinge_loss
from fictile.training.ema import EMA
from fictile.training.folder import Pictures, open_folder
from fictile.training.optimiser import Optimiser
from fictile.training.options import VAETraining
from fictile.training.randomness import generator
from fictile.training.run import Metrics, open_run, run, sheet

SHOWN = 8  # pictures on a sample sheet
MEASURED = 64  # held-out pictures behind the figures in the log


def train_vae(options: VAETraining) -> Path:
    """Train, or go on with the run in `options.output`. Returns the exported file, output/vae.safetensors.

    Raises:
        RequestError: the options or the data are wrong, or the folder holds another run.
        FictileError: training diverged.
    """
    runtime = options.runtime()
    train, heldout = open_folder(options.data, options.size)
    trainee = VAETrainee(options, train, heldout, runtime)
    run(trainee, options, open_run(options, (train, heldout)))
    return options.output / "vae.safetensors"


class VAETrainee:
    """The autoencoder, its average, its optimiser and, if asked for, its discriminator."""

    def __init__(self, options: VAETraining, train: Pictures, heldout: Pictures, runtime: Runtime) -> None:
        self.options, self.train, self.heldout, self.runtime = options, train, heldout, runtime
        torch.manual_seed(options.seed)
        self.given = given_autoencoder(options) if options.decoder_of else None
        self.network = self._fresh()
        if self.given:
            self.network.load_state_dict(self.given.network.state_dict())
            self.network.requires_grad_(False)
            for part in (self.network.decoder, self.network.post_quant_conv):
                part.requires_grad_(True)
        self.optimiser = Optimiser([self.network], options)
        self.ema = EMA(self.network, options.ema)
        self.perceptual = Perceptual().to(runtime.device) if options.perceptual else None
        self.discriminator = self.discriminator_optimiser = None
        if options.gan:
            self.discriminator = PatchDiscriminator(options.gan_width).to(runtime.device)
            self.discriminator_optimiser = Optimiser([self.discriminator], options)

    def step(self, step: int) -> Metrics:
        """One step of the autoencoder and, once it has started, of the discriminator."""
        random = generator(self.options.seed, "vae", step)
        indices = self.train.draw(self.options.batch, random)
        target = self.train.batch(indices)
        if self.options.flip:
            mirrored = self.train.mirrored(indices, random)
            target[mirrored] = target[mirrored].flip(-1)
        target = target.to(self.runtime.device, memory_format=torch.channels_last)
        with self._autocast():
            mean, logvar = (moments.float() for moments in self.network.encode(target))
            noise = torch.randn(mean.shape, generator=random).to(mean)
            made = self.network.decode(mean + (logvar / 2).exp() * noise)
            metrics = self._losses(made.float(), target, mean, logvar, random)
        loss = metrics.pop("total")
        adversarial = self.discriminator is not None and step >= self.options.gan_start * self.options.steps
        if adversarial:
            loss = loss + self._adversarial(made, loss, metrics)
        norm = self.optimiser.update(loss, step)
        self.ema.update(self.network)
        if adversarial:
            metrics["discriminator"] = self._train_discriminator(made.detach(), target, step)
        return {"loss": loss.item(), "gradient": norm} | {name: float(value) for name, value in metrics.items()}

    def _losses(
        self,
        made: Float[Tensor, "b 3 h w"],
        target: Float[Tensor, "b 3 h w"],
        mean: Float[Tensor, "b c hz wz"],
        logvar: Float[Tensor, "b c hz wz"],
        random: torch.Generator,
    ) -> dict[str, Tensor]:
        options = self.options
        losses = {
            "l1": l1_loss(made, target),
            "mse": mse_loss(made, target),
            "kl": (mean.square() + logvar.exp() - 1 - logvar).mean() / 2,
        }
        if self.perceptual is not None:
            top, left = (_corner(target.shape[side], options.perceptual_crop, random) for side in (2, 3))
            window = (..., slice(top, top + options.perceptual_crop), slice(left, left + options.perceptual_crop))
            losses["perceptual"] = self.perceptual(made[window], target[window])
        kl = 0.0 if self.given else options.kl  # where the encoder is frozen, nothing could be done about it
        weights = {"l1": options.l1, "mse": options.mse, "kl": kl, "perceptual": options.perceptual}
        total = torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
        return {name: loss.detach() for name, loss in losses.items()} | {"total": total}

    def _adversarial(self, made: Tensor, reconstruction: Tensor, metrics: dict[str, Tensor]) -> Tensor:
        assert self.discriminator is not None
        self.discriminator.requires_grad_(False)
        with self._autocast():
            loss = -self.discriminator(made).float().mean()
        self.discriminator.requires_grad_(True)
        weight = balance(reconstruction, loss, self.network.decoder.conv_out.weight)
        metrics |= {"adversarial": loss.detach(), "balance": weight}
        return self.options.gan * weight * loss

    def _train_discriminator(self, made: Tensor, target: Tensor, step: int) -> Tensor:
        assert self.discriminator is not None
        assert self.discriminator_optimiser is not None
        with self._autocast():
            loss = hinge_loss(self.discriminator(target), self.discriminator(made))
        self.discriminator_optimiser.update(loss, step)
        return loss.detach()

    @torch.no_grad()
    def sample(self) -> tuple[Float[Tensor, "3 h w"], Metrics]:
        """Held-out pictures above their reconstructions, and the mean PSNR over more of them."""
        errors, shown = list[float](), list[Tensor]()
        for start in range(0, min(MEASURED, len(self.heldout)), SHOWN):
            pixels = self.heldout.batch(range(start, min(start + SHOWN, MEASURED, len(self.heldout))))
            with self._autocast():
                made = self.ema.network(pixels.to(self.runtime.device)).float().cpu().clamp(-1, 1)
            errors += (made - pixels).square().mean(dim=(1, 2, 3)).tolist()
            shown = shown or [pixels, made]
        psnr = 10 * torch.log10(4 / torch.tensor(errors).clamp(min=1e-10))
        return sheet(shown), {"heldout_psnr": psnr.mean().item()}

    def export(self, folder: Path) -> None:
        """Write vae.safetensors: the averaged weights, with the scale and shift of the latents that they make.

        statistics.json beside it has the mean and variance of each channel with these, over the pictures that were
        trained on and the held-out ones; their range is printed. Where only a decoder was trained, the latents are as
        they were: their name, scale, shift and space are kept, and that is all.
        """
        network = self._fresh().eval()  # as it will be read back, with weights rounded to float16
        network.load_state_dict({name: tensor.half().float() for name, tensor in self.ema.network.state_dict().items()})
        if self.given:
            # The average of equal numbers is equal, but for the sign of a zero, and a space is named after its bits.
            network.encoder.load_state_dict(self.given.network.encoder.state_dict())
            network.quant_conv.load_state_dict(self.given.network.quant_conv.state_dict())
            kept = KLAutoencoder(network, self.given.normalisation, self.given.name, self.given.space)
            save_autoencoder(kept, folder / "vae.safetensors")
            return
        mean, std = latent_statistics(network, self.train, self.train.drawn)
        normalisation = Normalisation.of(mean.tolist(), std.tolist())
        save_autoencoder(KLAutoencoder(network, normalisation, self.options.name), folder / "vae.safetensors")
        heldout = latent_statistics(network, self.heldout, range(len(self.heldout)))
        statistics = {
            part: {"mean": ((m - mean) / std).tolist(), "variance": (s / std).square().tolist()}
            for part, (m, s) in {"training": (mean, std), "held-out": heldout}.items()
        }
        with written_whole(folder / "statistics.json") as draft:
            draft.write_text(json.dumps(statistics, indent=2) + "\n", encoding="utf-8")
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        for part, values in statistics.items():
            largest, variance = max(map(abs, values["mean"])), values["variance"]
            spread = f"variance {min(variance):.4f} to {max(variance):.4f}"
            console.print(f"Latents of the {part} pictures, per channel: |mean| up to {largest:.4f}, {spread}")

    def _fresh(self) -> KL:
        network = KL(self.given.network.spec if self.given else self.options.spec).to(self.runtime.device)
        return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] # torch lacks this overload

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        parts = {"network": self.network, "optimiser": self.optimiser, "ema": self.ema}
        if self.discriminator is not None:
            parts |= {"discriminator": self.discriminator, "discriminator_optimiser": self.discriminator_optimiser}
        return parts

    def _autocast(self) -> torch.autocast:
        dtype = self.runtime.dtype
        return torch.autocast(self.runtime.device.type, dtype=dtype, enabled=dtype != torch.float32)


def given_autoencoder(options: VAETraining) -> KLAutoencoder:
    """The autoencoder whose decoder is trained on.

    Raises:
        RequestError: there is none, it is of another kind, or the size of the pictures does not fit it.
    """
    assert options.decoder_of is not None
    autoencoder = as_kl(load_autoencoder(options.decoder_of))
    options.check_size(autoencoder.network.spec)
    return autoencoder


@torch.no_grad()
def latent_statistics(
    network: KL, pictures: Pictures, indices: Sequence[int]
) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Mean and standard deviation per channel of the posterior means of some pictures, each counted once."""
    device = next(network.parameters()).device
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for start in range(0, len(indices), SHOWN):
        pixels = pictures.batch(indices[start : start + SHOWN])
        latents = network.encode(pixels.to(device))[0].double().cpu()
        count += latents.numel() // latents.shape[1]
        total = total + latents.sum(dim=(0, 2, 3))
        squares = squares + latents.square().sum(dim=(0, 2, 3))
    mean = total / count
    return mean, (squares / count - mean.square()).clamp(min=0).sqrt()


def _corner(side: int, crop: int, random: torch.Generator) -> int:
    return int(torch.randint(max(1, side - crop + 1), (), generator=random))
