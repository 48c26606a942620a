"""The line-up of a comparison: one entry for each idea in the history of the field, in the order in which they came."""

from collections.abc import Sequence
from dataclasses import dataclass

from inkstone.errors import RecipeError, nearest
from inkstone.models import FAMILIES


@dataclass(frozen=True)
class Entry:
    """One model of the comparison: a family, and what of its settings makes it this idea."""

    name: str
    family: str
    year: int
    source: str
    settings: tuple[str, ...] = ()


ENTRIES = (
    Entry("hidden Markov model", "hmm", 1989, "Baum et al. 1970; Rabiner 1989"),
    Entry("Elman network", "recurrent", 1990, "Elman 1990; Mikolov et al. 2010", ("model.cell=rnn",)),
    Entry("5-gram", "ngram", 1998, "modified Kneser–Ney, Chen & Goodman 1998", ("model.order=5",)),
    Entry("neural n-gram", "neural_ngram", 2003, "Bengio et al. 2003"),
    Entry("LSTM", "recurrent", 2012, "Hochreiter & Schmidhuber 1997; Sundermeyer et al. 2012", ("model.cell=lstm",)),
    Entry("GRU", "recurrent", 2014, "Cho et al. 2014", ("model.cell=gru",)),
    Entry("text VAE", "text_vae", 2016, "Bowman et al. 2016"),
    Entry("gated convolutions", "convolutional", 2017, "Dauphin et al. 2017"),
    Entry("encoder-decoder", "encoder_decoder", 2017, "Vaswani et al. 2017; Raffel et al. 2020"),
    Entry("encoder", "encoder", 2019, "Devlin et al. 2019; Salazar et al. 2020"),
    Entry("decoder", "decoder", 2025, "Radford et al. 2018; Yang et al. 2025"),
)


def line_up(families: Sequence[str]) -> list[Entry]:
    """The entries of these families, or all. Raises RecipeError for a name that is none."""
    for name in families:
        if name not in FAMILIES:
            raise RecipeError(f"--family {name}: there is no such family; {nearest(name, FAMILIES)}")
    return [entry for entry in ENTRIES if (not families or entry.family in families) and entry.family in FAMILIES]
