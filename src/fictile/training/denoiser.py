"""Training a U-Net, and its text transformer with it, on the latents of one VAE."""

import dataclasses
import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from fictile.autoencoder import AnyAutoencoder
from fictile.checkpoint import Defaults, Parts, load_autoencoder, load_model, save_model
from fictile.denoiser import Conditioning, Denoiser, Guidance, UNet, guide
from fictile.engine import Runtime
from fictile.errors import RequestError, SpaceMismatch
from fictile.latent import Latent
from fictile.sampling import SAMPLERS, StepNoise, initial_noise, make_steps
from fictile.schedule import DDPM, Flow, Prediction, Schedule, target
from fictile.text import TextEncoder, TextTransformer, Tokenizer
from fictile.training.ema import EMA
from fictile.training.folder import Entry, Pictures, open_folder
from fictile.training.latents import LatentCache
from fictile.training.optimiser import Optimiser
from fictile.training.options import DenoiserTraining
from fictile.training.randomness import generator
from fictile.training.run import CHECKPOINT, Metrics, open_run, run, sheet

COLUMNS = 4  # of a sample sheet
SHOWN = 16  # pictures on it
MEASURED = 64  # held-out pictures behind the loss in the log
TOKENIZER = "tokenizer.json"  # in the run's folder
SAMPLER, STEPS = "euler", "simple"  # of sample sheets, and the exported model's defaults


def train_denoiser(options: DenoiserTraining) -> Path:
    """Train, or go on with the run in `options.output`. Returns the exported model folder, output/model.

    Raises:
        RequestError: the options, the data or the VAE are wrong, or the folder holds another run.
        FictileError: training diverged.
    """
    runtime, autoencoder = options.runtime(), load_autoencoder(options.vae)
    train, heldout = open_folder(options.data, options.size)
    trainee = DenoiserTrainee(options, autoencoder, train, heldout, runtime)
    multiple = autoencoder.space.factor * trainee.unet.spec.multiple
    if options.size % multiple:
        raise RequestError(f"size is {options.size}; for this VAE and U-Net it must be a multiple of {multiple}.")
    about = open_run(options, (train, heldout), spec=trainee.unet.spec, text=trainee.text.spec)
    if not train.captioned:
        logging.getLogger(__name__).warning(
            f"No picture in {options.data} has a caption: the model will draw without being told what."
        )
    trainee.prepare()
    run(trainee, options, about)
    return options.output / "model"


class DenoiserTrainee:
    """The U-Net and the text transformer, their averages, and their common optimiser.

    Nothing is written before `prepare`, which comes before the first step. The VAE moves to the runtime's device.
    """

    def __init__(
        self,
        options: DenoiserTraining,
        autoencoder: AnyAutoencoder,
        train: Pictures,
        heldout: Pictures,
        runtime: Runtime,
    ) -> None:
        self.options, self.autoencoder, self.runtime = options, autoencoder, runtime
        autoencoder.network.to(runtime.device)
        self.train, self.heldout = train, heldout
        self.prompts = prompts_of(options, train)
        self.prediction: Prediction
        self.schedule, self.prediction = objective(options)
        torch.manual_seed(options.seed)
        if options.init:
            unet, text = self._given(options.init)
        else:
            unet, text = self._new()
        unet, self.text = unet.to(runtime.device), text.network.to(runtime.device)
        self.unet = unet.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] # torch lacks this overload
        self.learner = torch.compile(self.unet, dynamic=False) if options.compile else self.unet  # of the same weights
        self.tokenizer = text.tokenizer
        self.optimiser = Optimiser([self.unet, self.text], options)
        self.unet_ema, self.text_ema = EMA(self.unet, options.ema), EMA(self.text, options.ema)
        self.latents = self._cache(train, flip=options.flip)
        self.measured = self._cache(dataclasses.replace(heldout, entries=heldout.entries[:MEASURED]))

    def _new(self) -> tuple[UNet, TextEncoder]:
        """Random networks of the options' specs, fitted to the VAE and to a tokenizer of the captions."""
        tokenizer = tokenizer_of(self.options, self.train)
        special = {name: getattr(tokenizer, name) for name in ("vocabulary", "begin", "end", "pad")}
        text = TextTransformer(dataclasses.replace(self.options.text, **special))
        channels, width = self.autoencoder.space.channels, self.options.text.width
        spec = dataclasses.replace(self.options.spec, in_channels=channels, out_channels=channels, context_width=width)
        return UNet(spec), TextEncoder(tokenizer, text)

    def _given(self, folder: Path) -> tuple[UNet, TextEncoder]:
        """The networks of a model folder.

        Raises:
            SpaceMismatch: that model has another VAE.
            RequestError: it predicts something else, or there is no such model.
        """
        model = load_model(folder)
        denoiser, space = model.denoiser, self.autoencoder.space
        if denoiser.space != space:
            raise SpaceMismatch(
                f"{folder} draws latents of {denoiser.space}, but {self.options.vae} makes those of {space}; "
                "train on with the model's own VAE."
            )
        if denoiser.prediction != self.prediction:
            raise RequestError(
                f"{folder} predicts {denoiser.prediction!r}, but the objective is {self.options.objective!r}; "
                "train on with the model's own objective."
            )
        text = model.text_encoder
        return denoiser.network.train(), TextEncoder(text.tokenizer, text.network.train())

    def _cache(self, pictures: Pictures, *, flip: bool = False) -> LatentCache:
        return LatentCache(self.options.output / "latents", self.autoencoder, pictures, flip=flip)

    def prepare(self) -> None:
        """Save the tokenizer and encode every picture, as far as it has not been done."""
        self.tokenizer.save(self.options.output / TOKENIZER)
        for cache in (self.latents, self.measured):
            cache.fill()

    def step(self, step: int) -> Metrics:
        """One step of both networks."""
        random = generator(self.options.seed, "denoiser", step)
        indices = self.train.draw(self.options.batch, random)
        mirrored = self.train.mirrored(indices, random) if self.options.flip else None
        x0 = self.latents.posterior(indices, mirrored).sample(random).data
        captions = draw_captions([self.train.entries[index] for index in indices], self.options.caption_dropout, random)
        ids = self.tokenizer.encode(captions, truncate=True)
        loss = self._loss(self.learner, self.text, x0, ids, random)
        norm = self.optimiser.update(loss, step)
        self.unet_ema.update(self.unet)
        self.text_ema.update(self.text)
        return {"loss": loss.item(), "gradient": norm, "learning_rate": self.optimiser.rate(step)}

    def _loss(
        self,
        unet: Callable[..., Float[Tensor, "b c h w"]],
        text: TextTransformer,
        x0: Float[Tensor, "b c h w"],
        ids: Int64[Tensor, "b n"],
        random: torch.Generator,
    ) -> Float[Tensor, ""]:
        device, dtype = self.runtime.device, self.runtime.dtype
        time = random_times(self.schedule, len(x0), random, uniform=self.options.uniform_times)
        alpha, sigma = self.schedule.at(time)
        noise = torch.randn(x0.shape, generator=random)
        x = alpha[:, None, None, None] * x0 + sigma[:, None, None, None] * noise
        wanted = target(self.prediction, x0, noise, alpha, sigma).to(device)
        x = x.to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            output = unet(x, time.to(device), text(ids.to(device)).last)
        weights = loss_weights(self.prediction, alpha, sigma, self.options.min_snr)
        errors = (output.float() - wanted).square().mean(dim=(1, 2, 3))
        return (errors * weights.to(device)).mean()

    @torch.no_grad()
    def sample(self) -> tuple[Float[Tensor, "3 h w"], Metrics]:
        """Pictures of the prompts with seed 0, and the loss of the averaged networks on held-out pictures."""
        denoiser = self.denoiser()
        dtype, device = self.runtime.dtype, self.runtime.device
        rows = list[Tensor]()
        side = self.options.size // self.autoencoder.space.factor
        steps = make_steps(self.schedule, STEPS, self.options.sample_steps)
        shape = (self.autoencoder.space.channels, side, side)
        for start in range(0, len(self.prompts), COLUMNS):
            prompts = self.prompts[start : start + COLUMNS]
            x = math.hypot(steps[0].alpha, steps[0].sigma) * initial_noise(shape, 0, len(prompts)).to(device)
            with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
                positive, negative = (self._conditioning(texts) for texts in (prompts, [""] * len(prompts)))
                denoise = guide(denoiser, positive, negative, Guidance(scale=self.options.guidance))
                noise = StepNoise(shape, range(len(prompts)))
                x = SAMPLERS[SAMPLER](denoise, x, steps, noise=noise)
            rows.append(self.autoencoder.decode(Latent(x, self.autoencoder.space)).cpu())
        random = generator(self.options.seed, "heldout")
        indices = range(len(self.measured.pictures))
        x0 = self.measured.posterior(indices).sample(random).data
        ids = self.tokenizer.encode([self.heldout.entries[index].captions[0] for index in indices], truncate=True)
        loss = self._loss(self.unet_ema.network, self.text_ema.network, x0, ids, random)
        return sheet(rows), {"heldout_loss": loss.item()}

    def _conditioning(self, texts: list[str]) -> Conditioning:
        ids = self.tokenizer.encode(texts, truncate=True).to(self.runtime.device)
        return Conditioning(self.text_ema.network(ids).last)

    def denoiser(self) -> Denoiser:
        """The averaged U-Net as samplers use it."""
        return Denoiser(self.unet_ema.network, self.schedule, self.prediction, self.autoencoder.space)

    def export(self, folder: Path) -> None:
        """Write model/: the averaged networks, the tokenizer and the VAE as one model."""
        defaults = Defaults(
            size=(self.options.size, self.options.size),
            steps=self.options.sample_steps,
            guidance=self.options.guidance,
            sampler=SAMPLER,
            schedule=STEPS,
        )
        text = TextEncoder(self.tokenizer, self.text_ema.network)
        save_model(
            Parts(
                name=self.options.name,
                autoencoder=self.autoencoder,
                text=text,
                denoiser=self.denoiser(),
                defaults=defaults,
            ),
            folder / "model",
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        return parts | {"space": self.autoencoder.space.id}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`.

        Raises:
            SpaceMismatch: the VAE's file has become another VAE.
        """
        space = self.autoencoder.space.id
        if (before := state.get("space", space)) != space:
            raise SpaceMismatch(
                f"this run learns latents of {before}, but {self.options.vae} is now {space}; "
                "bring the old VAE back, or train into another output folder"
            )
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        return {
            "unet": self.unet,
            "text": self.text,
            "optimiser": self.optimiser,
            "unet_ema": self.unet_ema,
            "text_ema": self.text_ema,
        }


def objective(options: DenoiserTraining) -> tuple[Schedule, Prediction]:
    """The noise schedule and the prediction that an objective's name stands for."""
    match options.objective:
        case "flow":
            return Flow(shift=options.shift), "flow"
        case "v" | "eps":
            return DDPM(zero_terminal_snr=options.objective == "v"), options.objective


def random_times(
    schedule: Schedule, count: int, random: torch.Generator, *, uniform: float = 0.0
) -> Float[Tensor, " b"]:
    """Training times of a DDPM schedule, uniform; and of a flow, shifted.

    Those of a flow are logit-normal (arXiv 2403.03206, section 3.1) but for a part `uniform`. A logit-normal thins out
    towards its ends, and sampling starts at one of them, in pure noise. A network that hardly saw that level takes the
    average of the noise for a sign of the picture's colours: what it draws depends on the seed more than on the prompt.
    """
    if not isinstance(schedule, Flow):
        return torch.randint(schedule.steps, (count,), generator=random).float()
    even = torch.rand(count, generator=random)
    spread = torch.randn(count, generator=random).sigmoid()
    return schedule.spread(1000 * torch.where(torch.rand(count, generator=random) < uniform, even, spread))


def loss_weights(
    prediction: Prediction, alpha: Float[Tensor, " b"], sigma: Float[Tensor, " b"], min_snr: float
) -> Float[Tensor, " b"]:
    """Weights of the losses: min-SNR-gamma for eps and v (arXiv 2303.09556, section 3.4), 1 for flows.

    Measured in x0, a plain eps loss weighs snr and a plain v loss snr + 1; what is plain is kept up to gamma. For v the
    paper clamps snr instead, which leaves the weight 0 where no signal is left. With zero terminal SNR
    (arXiv 2305.08891) sampling starts just there, so that level has to be learnt too.
    """
    if prediction == "flow":
        return torch.ones_like(alpha)
    plain = alpha.square() / sigma.square() + (1 if prediction == "v" else 0)
    return plain.clamp(max=min_snr) / plain


def draw_captions(entries: Sequence[Entry], dropout: float, random: torch.Generator) -> list[str]:
    """One of each picture's captions; the empty one for a part `dropout`, for classifier-free guidance."""
    chosen = list[str]()
    for entry in entries:
        caption = entry.captions[int(torch.randint(len(entry.captions), (), generator=random))]
        dropped = torch.rand((), generator=random) < dropout
        chosen.append("" if dropped else caption)
    return chosen


def tokenizer_of(options: DenoiserTraining, pictures: Pictures) -> Tokenizer:
    """The run's tokenizer: trained on the captions when the run starts, the same from the first checkpoint on."""
    path = options.output / TOKENIZER
    if path.exists() and (options.output / CHECKPOINT).exists():
        return Tokenizer.load(path)
    captions = [caption for entry in pictures.entries for caption in entry.captions]
    return Tokenizer.train(captions, options.text.vocabulary, options.text.context)


def prompts_of(options: DenoiserTraining, pictures: Pictures) -> list[str]:
    """The prompts of the sample sheets: the lines of a file, or captions spread over the data.

    Raises:
        RequestError: the file cannot be read or has no prompt.
    """
    if options.prompts:
        try:
            lines = options.prompts.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not in UTF-8"
            raise RequestError(f"The prompts {options.prompts} cannot be read ({reason}); give a text file.") from error
        if not any(map(str.strip, lines)):
            raise RequestError(f"The prompts {options.prompts} are empty; write one prompt a line.")
        return [line.strip() for line in lines if line.strip()][:SHOWN]
    stride = max(1, len(pictures) // SHOWN)
    return [entry.captions[0] for entry in pictures.entries[::stride][:SHOWN]]
