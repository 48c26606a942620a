"""Which weights of a tuned model learn, and how fast: all, the head alone, or low-rank changes beside the body, which are kept."""

import shutil
from pathlib import Path

import torch

from inkstone.errors import RecipeError, RunError
from inkstone.hub.download import local_folder
from inkstone.hub.folder import read_config
from inkstone.hub.peft_layout import write_adapter
from inkstone.layers.lora import add_lora
from inkstone.models.decoder import Decoder
from inkstone.models.headed import Headed
from inkstone.recipe import TaskSection
from inkstone.training.optimisers import layer_decay
from inkstone.training.planner import GIVEN, Choice


def choose_what_learns(
    model: Headed, task: TaskSection, seed: int, embedding: bool = False
) -> tuple[dict[str, float] | None, list[Choice]]:
    """Freeze and adapt the body as the recipe says; the factors on the learning rates, and the choices in words.

    The head always learns, and with `embedding` the rows of all tokens. Raises RecipeError for settings that exclude each other or
    a body that cannot be adapted.
    """
    if task.freeze and task.lora_rank:
        raise RecipeError("task.freeze and task.lora_rank exclude each other: a frozen body has no changes to learn")
    choices = []
    alone = model.head.kind in ("text", "next")
    if task.freeze and alone:
        raise RecipeError("task.freeze: there is no head beside the body that could learn; leave it out")
    if task.freeze:
        model.body.requires_grad_(False)
        choices.append(Choice("what learns", "the head", GIVEN))
    if task.lora_rank:
        generator = torch.Generator().manual_seed(seed)
        alpha = task.lora_alpha or 2.0 * task.lora_rank
        also = (
            [name for name in ("embedding", "head") if getattr(model.body, name, None) is not None] if embedding else []
        )
        add_lora(model.body, task.lora_rank, alpha, model.head.dropout, generator=generator, also=also)
        learning = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
        share = f"{learning:,} of {model.n_parameters():,} weights"
        beside = ", and the rows of tokens" if also else "" if alone else ", and the head"
        choices.append(Choice("what learns", f"changes of rank {task.lora_rank}{beside}", share))
    if task.layer_decay == 1.0:
        return None, choices
    choices.append(Choice("layer decay", task.layer_decay, GIVEN))
    return layer_decay(model, task.layer_decay), choices


def keep_changes(model: Headed, folder: Path, base: str) -> str:
    """Write the low-rank changes of the body as peft opens them beside `base`, the model that was tuned; says so, or why not."""
    shutil.rmtree(folder, ignore_errors=True)  # of a call that was stopped after it had written them
    rows = read_config(local_folder(base)).get("vocab_size")
    if isinstance(rows, int) and isinstance(model.body, Decoder) and rows != model.body.settings.vocab_size:
        return f"the low-rank changes are in the model alone: it has tokens that {base} has not"
    try:
        write_adapter(model.body, folder, base, local_folder(base))
    except RunError as error:
        return f"the low-rank changes are in the model alone: {error}"
    return f"the low-rank changes by themselves: {folder}"
