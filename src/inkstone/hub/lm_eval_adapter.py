"""Any model of ours as a model of EleutherAI's lm_eval, and so every task that it has.

    import lm_eval
    from inkstone.hub.lm_eval_adapter import InkstoneLM

    lm_eval.simple_evaluate(model=InkstoneLM("runs/mine"), tasks=["blimp"])

The figures are those of lm_eval's own `hf` model on the exported folder, for the families that export, but for two things.
Special tokens that are written in a text are text here. And in `loglikelihood_rolling` the token that stands before
every text is read and not predicted, where `hf` predicts it too if the tokenizer writes one (`add_bos_token=False`
turns that off there).

It stands on the public functions of Inkstone alone, as a program of others would. Chat templates are not applied.
"""

import itertools
import logging
from pathlib import Path
from typing import Any

import inkstone
from inkstone.errors import InkstoneError, MissingExtraError
from inkstone.models.base import CarriesState, LanguageModel

try:
    from lm_eval.api.instance import Instance
    from lm_eval.api.model import TemplateLM
    from lm_eval.api.registry import register_model
    from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
except ImportError:
    raise MissingExtraError("lm_eval", "lm_eval", "evaluation by lm_eval") from None

MAX_NEW_TOKENS = 256  # where a task does not say, as `hf` has it
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed")  # spelled alike on both sides
NOTED = ("do_sample", "until", "max_gen_toks")

_log = logging.getLogger(__name__)


@register_model("inkstone")
class InkstoneLM(TemplateLM):
    """A model of any family, or the one in a run or checkpoint folder, as lm_eval asks it."""

    def __init__(
        self,
        run: LanguageModel | Path | str,
        *,
        device: str | None = None,
        max_length: int | None = None,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
    ):
        """Open the model. The batch sizes are taken and not used: a batch here is so many tokens.

        device: "cpu", "cuda", or "auto" for a GPU where there is one, the default; of a model that is given it stays.
        max_length: tokens read at once; default the context that the model was trained with, or no bound where it has none.
        """
        super().__init__()
        self.model = inkstone.load(run, device=device or "auto") if isinstance(run, str | Path) else run
        context = None if isinstance(self.model, CarriesState) else getattr(self.model, "settings", None)
        self.max_length: int | None = max_length or getattr(context, "context", None)

    @property
    def tokenizer_name(self) -> str:
        """What lm_eval keys its cache of requests by."""
        return self.model.tokenizer.fingerprint

    @property
    def eot_token_id(self) -> int:
        """The token that ends a document."""
        return self.model.tokenizer.end

    @property
    def prefix_token_id(self) -> int:
        """The token that stands before a text whose context is empty."""
        tokenizer = self.model.tokenizer
        return (tokenizer.begin or [tokenizer.end])[-1]

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """The ids of a text, with what stands before every text unless `add_special_tokens` is False."""
        tokenizer = self.model.tokenizer
        return [*([] if add_special_tokens is False else tokenizer.begin), *tokenizer.encode(string)]

    def _loglikelihood_tokens(
        self,
        requests: list[tuple[tuple[str, str] | None, list[int], list[int]]],
        disable_tqdm: bool = False,
        **kwargs: Any,
    ) -> list[tuple[float, bool]]:
        pairs = [(context, continuation) for _, context, continuation in requests]
        scores = inkstone.continuation_scores(self.model, pairs, window=self.max_length)
        answers = [(-score.nats, score.greedy) for score in scores]
        for (texts, _, _), answer in zip(requests, answers, strict=True):
            if texts is not None:
                self.cache_hook.add_partial("loglikelihood", texts, answer)
        return answers

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """The log-likelihood of whole texts; what is longer than `max_length` in windows that overlap as little as can be."""
        windows = []
        for request in requests:
            ids = self.tok_encode(request.args[0], add_special_tokens=False)
            rolling = get_rolling_token_windows(ids, self.prefix_token_id, self.max_length or len(ids) or 1, 1)
            windows.append([(None, *make_disjoint_window(window)) for window in rolling])
        scores = iter(self._loglikelihood_tokens(list(itertools.chain.from_iterable(windows))))
        totals = [sum(next(scores)[0] for _ in each) for each in windows]
        for request, total in zip(requests, totals, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return totals

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Continue each context, greedily unless its settings say otherwise, up to a stop string or the end of the document.

        Raises InkstoneError where so many new tokens are asked for that nothing of the context could be read.
        """
        return [self._continued(*request.args) for request in requests]

    def _continued(self, context: str, given: dict[str, Any]) -> str:
        tokenizer = self.model.tokenizer
        settings: dict[str, Any] = dict(normalize_gen_kwargs(given, MAX_NEW_TOKENS))
        until = [stop for stop in handle_stop_sequences(settings["until"], eos=None) if stop]
        if others := sorted(settings.keys() - {*SAMPLING, *NOTED}):
            _log.warning(
                "Inkstone does not know these settings of generation and leaves them out: %s", ", ".join(others)
            )
        new = settings["max_gen_toks"]
        if self.max_length is not None and new >= self.max_length:
            raise InkstoneError(
                f"{new} new tokens leave no room for a context in the {self.max_length} that this model reads at once; "
                'allow fewer: gen_kwargs="max_gen_toks=N"'
            )
        ids = self.tok_encode(context) or [self.prefix_token_id]
        if self.max_length is not None:
            ids = ids[-(self.max_length - new) :]
        sampling: dict[str, Any] = {"min_p": 0.0, **{name: settings[name] for name in SAMPLING if name in settings}}
        if not settings["do_sample"]:
            sampling["temperature"] = 0.0
        (written,) = inkstone.generate(self.model, ids, max_tokens=new, stop=tuple(until), **sampling)
        # Decoded anew: at the end of its tokens `generate` leaves out a character that is not whole.
        text = postprocess_generated_text(tokenizer.decode(written.ids), until, None)
        self.cache_hook.add_partial("generate_until", (context, given), text)
        return text
