"""What others make of the same parts: scikit-learn's TF-IDF with logistic regression, and CRFsuite with the features of our CRF."""

import json
import tempfile
from collections.abc import Sequence
from typing import Any

import pycrfsuite
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from inkstone.tasks.tag import Tag
from inkstone.tasks.tagged import Tagged, words_of
from inkstone.tasks.understanding import Understanding
from tagging import feature_strings
from task_sets import Files

STRENGTHS = (1.0, 3.0, 10.0, 30.0)  # C of the logistic regression, chosen on dev


def tfidf(files: Files, settings: Sequence[str], grams: dict[str, Any]) -> float:
    """Accuracy on the test part, with the C that is best on dev."""
    parts = {
        part: [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
        for part, paths in files.items()
    }
    texts, labels = ({part: [row[key] for row in rows] for part, rows in parts.items()} for key in ("text", "label"))
    if "dev" not in parts:
        split = train_test_split(
            texts["train"], labels["train"], test_size=0.1, random_state=0, stratify=labels["train"]
        )
        texts["train"], texts["dev"], labels["train"], labels["dev"] = map(list, split)
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, **grams)
    rows = {
        part: vectorizer.fit_transform(own) if part == "train" else vectorizer.transform(own)
        for part, own in texts.items()
    }
    models = [LogisticRegression(C=c, max_iter=2000).fit(rows["train"], labels["train"]) for c in STRENGTHS]
    best = max(models, key=lambda model: model.score(rows["dev"], labels["dev"]))
    return float(best.score(rows["test"], labels["test"]))


def crfsuite(files: Files, settings: Sequence[str]) -> float:
    """The score of the task `tag` on the test part: L-BFGS, 100 iterations, features that were seen twice."""
    task = Tag.of({"segment": True} if "task.segment=true" in settings else {})
    parts = {part: task.read(list(map(str, files[part])), Understanding(part, [])) for part in ("train", "test")}
    task.learn(parts["train"])
    trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params({"c2": 1.0, "max_iterations": 100, "feature.minfreq": 2})
    for example in parts["train"]:
        trainer.append(feature_strings(list(example.words)), list(example.tags))
    with tempfile.TemporaryDirectory() as folder:
        trainer.train(f"{folder}/model")
        tagger = pycrfsuite.Tagger()
        tagger.open(f"{folder}/model")
    answers = [answer_of(task, example, tagger.tag(feature_strings(list(example.words)))) for example in parts["test"]]
    return task.measures(parts["test"], answers)[task.score].value


def answer_of(task: Tag, example: Tagged, tags: list[str]) -> dict[str, Any]:
    """The tags of another tagger as the task would say them; what breaks its scheme is no span."""
    if task.segment:
        return {"offsets": [[begin, stop] for begin, stop, _ in words_of(example, tags)]}
    return {"tags": tags}


PEERS = {
    "TF-IDF of words, scikit-learn": lambda files, settings: tfidf(files, settings, {"ngram_range": (1, 2)}),
    "TF-IDF of characters, scikit-learn": lambda files, settings: tfidf(
        files, settings, {"analyzer": "char", "ngram_range": (1, 3)}
    ),
    "CRFsuite": crfsuite,
}
