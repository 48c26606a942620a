"""The rules of what a Whisper may write, against the processors of transformers, which are trusted."""

import pytest
import torch
from transformers import (
    GenerationConfig,
    SuppressTokensAtBeginLogitsProcessor,
    SuppressTokensLogitsProcessor,
    WhisperTimeStampLogitsProcessor,
)

from inkstone.inference.time_rules import TimeRules
from inkstone.tokens.speech_tokens import SpeechTokens

END, NO_TIMES, VOCAB = 20, 25, 46
TOKENS = SpeechTokens(
    start=21, end=END, no_times=NO_TIMES, suppressed=(3, 22), suppressed_first=(5, END), latest_first_time=6
)


def theirs(scores: torch.Tensor, written: torch.Tensor, times: bool) -> torch.Tensor:
    read = torch.cat((torch.full((len(written), 2), TOKENS.start), written), dim=1)
    config = GenerationConfig(eos_token_id=END, bos_token_id=END)
    config.no_timestamps_token_id, config.max_initial_timestamp_index = NO_TIMES, TOKENS.latest_first_time
    chain = [
        SuppressTokensAtBeginLogitsProcessor(TOKENS.suppressed_first, begin_index=2),
        SuppressTokensLogitsProcessor([*TOKENS.suppressed, *([] if times else range(NO_TIMES + 1, VOCAB))]),
        *([WhisperTimeStampLogitsProcessor(config, begin_index=2)] if times else []),
    ]
    for processor in chain:
        scores = processor(read, scores)
    return scores.log_softmax(-1)


@pytest.mark.parametrize("times", [True, False])
def test_scores_are_those_of_transformers_along_texts_drawn_by_the_rules(times):
    generator, rules = torch.Generator().manual_seed(0), TimeRules(TOKENS, times)
    written, ended = torch.zeros(64, 0, dtype=torch.long), 0
    for _ in range(12):
        scores = (2 * torch.randn(len(written), VOCAB, generator=generator)).log_softmax(-1)
        found = rules(scores.view(-1, 2, VOCAB), written.view(len(written) // 2, 2, -1)).view_as(scores)
        expected = theirs(scores, written, times)
        assert torch.equal(found.isinf(), expected.isinf())
        torch.testing.assert_close(found.exp(), expected.exp())
        drawn = torch.multinomial(found.exp(), 1, generator=generator)
        written = torch.cat((written, drawn), dim=1)
        ended += int((drawn == END).sum())
    assert ended > 10
    if not times:
        assert not bool((written > NO_TIMES).any())
        return
    pairs = (written[:, 1:] > NO_TIMES) & (written[:, :-1] > NO_TIMES)
    assert bool(pairs.any()) and bool((written < END).any())


def test_a_time_is_written_where_all_of_them_together_are_likelier_than_any_text():
    rules = TimeRules(SpeechTokens(start=21, end=END, no_times=NO_TIMES), times=True)
    written = torch.tensor([[[NO_TIMES + 1, 7]]])
    chances = torch.full((VOCAB,), 1e-9)
    chances[4], chances[30:40] = 0.4, 0.06
    found = rules(chances.log()[None, None], written).exp()[0, 0]
    assert float(found[:NO_TIMES].sum()) == 0 and float(found[30:40].sum()) == pytest.approx(1.0)
    chances[30:40] = 0.03
    found = rules(chances.log()[None, None], written).exp()[0, 0]
    assert int(found.argmax()) == 4 and float(found.sum()) == pytest.approx(1.0)
