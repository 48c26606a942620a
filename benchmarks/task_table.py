"""The sets of `tasks.py`, with the settings that were best on their dev parts."""

from task_sets import (
    TaskSet,
    as_they_lie,
    both,
    chnsenticorp,
    clinc150,
    cold,
    csl,
    davidson,
    gsdsimp_segments,
    gsdsimp_upos,
    sst2,
)

WORDS, CHARACTERS = "TF-IDF of words, scikit-learn", "TF-IDF of characters, scikit-learn"
EWT = as_they_lie("ud-en-ewt", *(f"en_ewt-ud-{part}.conllu.xz" for part in ("train", "dev", "test")))
WNUT = as_they_lie("ner-wnut17", "train.conll.xz", "dev.conll.xz", "test.conll.xz")
WEIBO = as_they_lie("ner-weibo", "train.conll.xz", "dev.conll.xz", "test.conll.xz")
UNER = as_they_lie("ner-uner-zh-gsdsimp", *(f"zh_gsdsimp-ud-{part}.iob2.xz" for part in ("train", "dev", "test")))
ROLES_EN = as_they_lie("srl-en-ewt", *(f"en_ewt-propbank-{part}.tsv.xz" for part in ("train", "dev", "test")))
ROLES_ZH = as_they_lie("srl-zh-gsd", *(f"zh_gsd-up-{part}.conllup.xz" for part in ("train", "dev", "test")))
DRCD = as_they_lie("qa-drcd", "DRCD_dev.json.xz", None, "DRCD_test.json.xz")
SQUAD = as_they_lie("qa-squad-v1.1-dev", "dev-not-xquad.jsonl.xz", None, "dev-xquad-paragraphs.jsonl.xz")

CNN, BPE = "classify", ("tokenizer.kind=byte-bpe", "model.width=64")
PATIENT = ("task.patience=30",)
TAGGER = ("task.blend=true", *PATIENT)
RELATIONS = TaskSet("tag", EWT, 8, ("task.tag_column=deprel", "task.yardstick=false", *PATIENT), vectors="en")
# Contexts that hold nearly all paragraphs whole, so that none is read twice in overlapping windows.
LONG, SHORT = (("task.rows=8", f"model.context={context}") for context in (448, 320))
TUNED = "train.learning_rate=0.0005"

SETS = {
    "sst2": TaskSet("classify", sst2, 2.5, recipe=CNN, peer=WORDS, goal=83.0),
    "chnsenticorp": TaskSet("classify", chnsenticorp, 4.5, BPE, recipe=CNN, peer=CHARACTERS, goal=91.5),
    "clinc150": TaskSet("classify", clinc150, 4, recipe=CNN, peer=WORDS, goal=90.0),
    "cold": TaskSet("classify", cold, 3, recipe=CNN, peer=CHARACTERS, goal=78.0),
    "csl": TaskSet("classify", csl, 2.5, recipe=CNN, peer=CHARACTERS),
    "davidson": TaskSet("classify", davidson, 2.5, recipe=CNN, peer=WORDS),
    "ewt-upos": TaskSet("tag", EWT, 7.5, TAGGER, vectors="en", goal=95.5),
    "gsdsimp-words": TaskSet(
        "tag", gsdsimp_segments, 3.5, ("task.segment=true", *PATIENT), vectors="characters", peer="CRFsuite", goal=93.0
    ),
    "gsdsimp-upos": TaskSet("tag", gsdsimp_upos, 3.5, TAGGER, vectors="zh", goal=94.0),
    "wnut17-ner": TaskSet("tag", WNUT, 2.5, PATIENT, vectors="en", peer="CRFsuite"),
    "weibo-ner": TaskSet("tag", WEIBO, 3, PATIENT, vectors="characters", peer="CRFsuite"),
    "uner-ner": TaskSet("tag", UNER, 3.5, TAGGER, vectors="zh", peer="CRFsuite"),
    "ewt-roles": TaskSet(
        "roles",
        ROLES_EN,
        14,
        ("task.rows=64", "model.dropout=0.15", "train.learning_rate=0.002"),
        start=("ewt-relations", RELATIONS),
        also=("predicate F1",),
        goal=70.0,
    ),
    "gsd-roles": TaskSet("roles", ROLES_ZH, 3, vectors="zh", also=("predicate F1",)),
    "drcd": TaskSet("answer", DRCD, 6, LONG, also=("exact match",)),
    "drcd-pretrained": TaskSet("answer", DRCD, 6, (*LONG, TUNED), encoder=("zh", 10), also=("exact match",)),
    "squad": TaskSet("answer", SQUAD, 6, SHORT, also=("exact match",)),
    "squad-pretrained": TaskSet("answer", SQUAD, 6, (*SHORT, TUNED), encoder=("en", 10), also=("exact match",)),
    "sentiment-together": TaskSet("classify", both(("sst2", sst2), ("chnsenticorp", chnsenticorp)), 4, recipe=CNN),
    "upos-together": TaskSet("tag", both(("ewt", EWT), ("gsdsimp", gsdsimp_upos)), 7, TAGGER),
}
