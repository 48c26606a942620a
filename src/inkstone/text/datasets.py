"""Named public data sets: where they come from, under which licence, whom to cite, and the checksum of every file.

`data:NAME` is found in the folder that `INKSTONE_DATA` names (a mirror with files `NAME/FILE.xz`; nothing else is tried
then), else in the cache, else at its public address.
"""

import hashlib
import os
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote

from inkstone.errors import TextError, nearest
from inkstone.files import sha256, whole_file

PREFIX = "data:"
MIRROR = "INKSTONE_DATA"
CACHE = "INKSTONE_CACHE"
GITHUB = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class DataFile:
    """One file of a data set."""

    name: str
    packed_sha256: str  # of NAME.xz in a mirror
    sha256: str  # of the file itself
    address: str | None = None  # of a public file with exactly these bytes
    part: str = "train"  # "train", "valid" or "test"; a test part is read only when it is named


@dataclass(frozen=True)
class Dataset:
    """A public data set; `source` is the place where its files, or what they were cut from, are public."""

    title: str
    languages: tuple[str, ...]
    licence: str
    citation: str
    source: str
    files: tuple[DataFile, ...]


NOVELS = "tennessine/corpus/c5ce96aca36c6a3cb4da5f0ff7d2d5fa30c32aea"
WIKITEXT = "pytorch/examples/77f55b912142e11fcfdf5b530231fb9c52f181e8/word_language_model/data/wikitext-2"
FOUNDRY = "mosaicml/llm-foundry/8c8dd48f72168c5d51e2f7b151595892a8fba43d/scripts/eval/local_data"
LAMBADA = "Victorwz/VaLM/161accd153943a502ec7e3983c448dda07f9d975/data/lambada/lambada_test.jsonl"
SHAKESPEARE = "karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt"

DATASETS: dict[str, Dataset] = {
    "chinese-novels": Dataset(
        title="Three classic Chinese novels in simplified characters: 红楼梦, 三国演义, 水浒传",
        languages=("zh",),
        licence="public domain by age",
        citation="曹雪芹《红楼梦》; 罗贯中《三国演义》; 施耐庵《水浒传》",
        source="https://github.com/tennessine/corpus",
        files=(
            DataFile(
                "honglou-meng.txt",
                "a6f52a6efce977b933ba48da82adcd1c854136a1e42cda7cc7abb211a2be401f",
                "5eca888fb54188d644df70fa555dd3c9cbdd3a8d7b3034fb59f7a81e16f05dc7",
                f"{NOVELS}/红楼梦.txt",
            ),
            DataFile(
                "sanguo-yanyi.txt",
                "c88ea760c3df13533fc8252a814bebee0816d48cb4a9d22120ac4c594f8203fe",
                "48922aa73c07e0b9c6e23a9cf5cf61f1779dd33e11947a1eaac364f1c50f65c4",
                f"{NOVELS}/三国演义.txt",
            ),
            DataFile(
                "shuihu-zhuan.txt",
                "f86cd283ff67481cb8abd5d93627ba674904395060689c4d02acad760bcf68b7",
                "aa966dd99d7ecac39f63eb187e5f29f4edb6061dc1adf73e4524eb7fd2345cdc",
                f"{NOVELS}/水浒传.txt",
            ),
        ),
    ),
    "tinyshakespeare": Dataset(
        title="Tiny Shakespeare: 40,000 lines of the plays",
        languages=("en",),
        licence="public domain",
        citation="Karpathy, The Unreasonable Effectiveness of Recurrent Neural Networks, 2015",
        source="https://github.com/karpathy/char-rnn",
        files=(
            DataFile(
                "input.txt",
                "ec00306cd978320004d5550b5de4b604b46faefffa20cae3bfaf2013c0a27862",
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                SHAKESPEARE,
            ),
        ),
    ),
    "wikitext-2": Dataset(
        title="WikiText-2, tokenised: the standard word-level benchmark of language models",
        languages=("en",),
        licence="CC BY-SA 3.0",
        citation="Merity, Xiong, Bradbury and Socher, Pointer Sentinel Mixture Models, 2016",
        source="https://github.com/pytorch/examples",
        files=(
            DataFile(
                "test.txt",
                "0884f4f9ef0b23f6a56f399803b4ec850ae17c15a6b8a8bc4d33735a39cd3810",
                "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
                f"{WIKITEXT}/test.txt",
                part="test",
            ),
            DataFile(
                "train.txt",
                "b77575b5de7c8bc23ffa3bc1528e8680b89ba67e142180884cd7586fb930a6bf",
                "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
                f"{WIKITEXT}/train.txt",
            ),
            DataFile(
                "valid.txt",
                "6c40bca884b97898fe253f193bd4c0337faeceba9537be2c13711c20c78df5c0",
                "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
                f"{WIKITEXT}/valid.txt",
                part="valid",
            ),
        ),
    ),
    "gutenberg-en": Dataset(
        title="Seven English novels: Austen, Carroll, Dickens, Conan Doyle, Melville, Tolstoy (translated), Twain",
        languages=("en",),
        licence="public domain",
        citation="Project Gutenberg books 11, 76, 1342, 1400, 1661, 2600, 2701, their boilerplate removed",
        source="https://github.com/GITenberg",
        files=(
            DataFile(
                "alice.txt",
                "31a723198415918bde13f4aeb6643b9ef7bf4a1700aa070d2898904f90a0b9a8",
                "8848bba43e5c75c5a2b1e248b51edab248878cca60d916b6685a57f491ac86d3",
            ),
            DataFile(
                "great-expectations.txt",
                "f17269e528739c72039811eecd4010a4c14e1da7e6019329bcc049ce8c5f646e",
                "b81f308ca8cfae430a506d907049bdd848d1f89e4008d5cd1c04c3a52e57398a",
            ),
            DataFile(
                "huckleberry-finn.txt",
                "fd370714f390888822106a3461980ff4e906f7979babb3a8a716f69185929d2c",
                "9d4325cd64b37a17e1c2cef7a2f551febc11b36f10d61d84f391d3cd4e0d197a",
            ),
            DataFile(
                "moby-dick.txt",
                "a87ba71b115aaac54c6b9736f971d9c145efaa9b17326261cb9ca11d907ce24a",
                "6b13ab48afe75f3a8d7c12d7c751935581a9fcaea284acb02fa327a631919196",
            ),
            DataFile(
                "pride-and-prejudice.txt",
                "c9e255aba598c203cd03dd57c23bc89349083241a52a16841164f6bd9a1fe5b0",
                "d02c06ecdee0120842aa1274288a07fe68d5316d1e8285853eaf4fc65a0b39a0",
            ),
            DataFile(
                "sherlock-holmes.txt",
                "1d59213addf408cee4952220fc92d6534060a5f365e84cdac782caf40e728570",
                "369b44ac9865a7dd3c06eb27212002653a7ae92422aaeb5f8b15fe9f429fbf8e",
            ),
            DataFile(
                "war-and-peace.txt",
                "e181e1cd564a55fd8fb2d7cff3c9917c652583496c5811da85c418d08786611e",
                "1ce58d5e322b309fd68e5ca0434530ccedd69bf0e2d12cd5094097b62a5e89a8",
            ),
        ),
    ),
    "zhwiki": Dataset(
        title="Two extracts of Chinese Wikipedia: 283 articles, simplified and traditional",
        languages=("zh",),
        licence="CC BY-SA 3.0",
        citation="Wikipedia, the authors of each article (field url)",
        source="https://github.com/jastfkjg/Chinese-relation-extraction, https://github.com/KazuhiraDZ/NLP-Learning",
        files=(
            DataFile(
                "zhwiki-a.jsonl",
                "68031792d28b504036d3f6049e94ff6530b31456f6dfdf1594dbe23dbd88edbd",
                "653e26a2cffc44237f68dddd8a80c4cdbf2a82433e1f0c38dfcc373a1ea6204c",
            ),
            DataFile(
                "zhwiki-b.jsonl",
                "e32355a4a8644f3644cad90c33a481f1e973674c7a6655de09f429817ba714b0",
                "cccf227d7227d93c5ee9a12292bc489b375ffc954910d5e2d708d0ed0a3cb3cb",
            ),
        ),
    ),
    "chinese-poetry": Dataset(
        title="Tang shi (traditional characters) and Song ci (simplified): 19,185 poems",
        languages=("zh",),
        licence="MIT",
        citation="chinese-poetry, the most comprehensive database of Chinese poetry",
        source="https://github.com/chinese-poetry/chinese-poetry",
        files=(
            DataFile(
                "songci-every3.jsonl",
                "91724590846e623d285d99455e5443f9f2a5f7e7436d37b9064e759e08912b5a",
                "e05bc4b79b32ef511a4f58498677b41f5fb64cd13f8ef2e1380a875d13f2d55d",
            ),
            DataFile(
                "songci300.jsonl",
                "9df79407a8cf2d37b0c73bf9583a103462e792705a9e8a2c65ab276e6a09dcce",
                "55132738370ba440c198a3a07d2c911bbcd402cd180ced7b86adc004ec7730e8",
            ),
            DataFile(
                "tang-every5.jsonl",
                "91bcd2c3b4daaf16aed9be1a12cbc053858aba5be3acc700041ce875efbde6bb",
                "a9b073450e12a5a99de9caf4da7a4ec999f04073d79e0f894cf45f641583f8f7",
            ),
            DataFile(
                "tang300.jsonl",
                "8e6077bdbc85701cc5c1df97dc8cbdd9f264ea071210e68d0a07af2e1aade063",
                "2dd2f079d0b5208022d4fb0d953953c699e039c3c3ba968fca87708e642934bc",
            ),
        ),
    ),
    "eval-blimp": Dataset(
        title="BLiMP: the first 100 of the 1,000 minimal pairs of each of 67 grammatical paradigms",
        languages=("en",),
        licence="CC BY 4.0",
        citation="Warstadt et al., BLiMP: The Benchmark of Linguistic Minimal Pairs for English, 2020",
        source="https://github.com/alexwarstadt/blimp",
        files=(
            DataFile(
                "blimp-first100.jsonl",
                "c0c3e659b315c179636b62209be0abd47fa2f66df3eb74bf080b564360bd6db9",
                "e0085156666b04110481c1215dda9ff87b9351b92e09c57330e992faf834280a",
                part="test",
            ),
        ),
    ),
    "eval-lambada": Dataset(
        title="LAMBADA, the test part in the detokenised form of OpenAI: foresee the last word of a passage",
        languages=("en",),
        licence="CC BY 4.0",
        citation="Paperno et al., The LAMBADA dataset: Word prediction requiring a broad discourse context, 2016",
        source="https://github.com/Victorwz/VaLM",
        files=(
            DataFile(
                "lambada_test.jsonl",
                "50bea0b68435a22cab29bdc725c6e65c883f9bcc50bf06c002b084c11e05e61a",
                "4aa8d02cd17c719165fc8a7887fddd641f43fcafa4b1c806ca8abc31fabdb226",
                LAMBADA,
                part="test",
            ),
        ),
    ),
    "eval-mc-en": Dataset(
        title="Multiple choice: ARC, COPA, OpenBookQA, PIQA, the Winograd schemas, WinoGrande",
        languages=("en",),
        licence="ARC CC BY-SA 4.0, COPA BSD-2-Clause, OpenBookQA Apache-2.0, PIQA AFL-3.0, Winograd and WinoGrande CC BY",
        citation="Clark et al. 2018; Roemmele et al. 2011; Mihaylov et al. 2018; Bisk et al. 2020; Levesque et al. 2012; Sakaguchi et al. 2020",
        source="https://github.com/mosaicml/llm-foundry",
        files=(
            DataFile(
                "arc_challenge.jsonl",
                "cec4a0b5798e91631898f8c252402bfd780f434b2284719e495f53558ad34d5c",
                "1ae3aeedf1951d881cbd5c2e3a31e78a1993d251479afbe4cb413b6707244636",
                f"{FOUNDRY}/world_knowledge/arc_challenge.jsonl",
                part="test",
            ),
            DataFile(
                "arc_easy.jsonl",
                "2801699c2a63c8ee85258697f8e15ff411603a9d3151afbbfc932b52ff1f3aa9",
                "d2d12e59543acf9a5ef6079634a72b30215e36c2fd4236fff3bc855d287b87f5",
                f"{FOUNDRY}/world_knowledge/arc_easy.jsonl",
                part="test",
            ),
            DataFile(
                "copa.jsonl",
                "c30bfe321c22e4c7856daa45aba710046956222ba89b1f7ed756d5d097ff5ab7",
                "595dca44dec54c849490bd403a3e24a29e3b944065783222ebb0eb1a55298846",
                f"{FOUNDRY}/commonsense_reasoning/copa.jsonl",
                part="test",
            ),
            DataFile(
                "openbook_qa.jsonl",
                "abcc0ae60f39efb842fc4eb6f156e6afa0e1337a415e498743ac2a38f02249c8",
                "adb2e5c7f8db810ddad4d6b2bf53dcc86dcc545499f7aafcaf42a8e179476c09",
                f"{FOUNDRY}/commonsense_reasoning/openbook_qa.jsonl",
                part="test",
            ),
            DataFile(
                "piqa.jsonl",
                "bfa3b68cfee5e6297f23ade202cfcdca665f3b1cdf674b8c28709d8b026812e3",
                "d2870e73aec5154df3faf259b7700876e11608eebdf69e9d6667435673dbe4e0",
                f"{FOUNDRY}/commonsense_reasoning/piqa.jsonl",
                part="test",
            ),
            DataFile(
                "winograd_wsc.jsonl",
                "182ee6779da17ed2825f20b11365d51918816c013831c5233de61f9491eed7ea",
                "746336c27cd2e39a554cb1b8b4869d0f1ae2577ac5bfe799842d26bca5a5bf5e",
                f"{FOUNDRY}/language_understanding/winograd_wsc.jsonl",
                part="test",
            ),
            DataFile(
                "winogrande.jsonl",
                "29f34cd1a49cb303449bdbcc83b6496c25b192403151942f7d7b8463b5d42662",
                "ea1592526f3bfdd0948ed3acb1b4dfa3f83d23698917118688ee1df7f8d4b8d7",
                f"{FOUNDRY}/language_understanding/winogrande.jsonl",
                part="test",
            ),
        ),
    ),
    "eval-hellaswag-1k": Dataset(
        title="HellaSwag: 1,000 items, as sampled by AbstainQA",
        languages=("en",),
        licence="MIT",
        citation="Zellers et al., HellaSwag: Can a Machine Really Finish Your Sentence?, 2019",
        source="https://github.com/BunsenFeng/AbstainQA",
        files=(
            DataFile(
                "hellaswag-abstainqa-test.jsonl",
                "6907fb3bd3710e79dad479c4e60751adbac97c5b78606d7d26d4dad2b556acd7",
                "f848bec946bf6656462dd36d2998541e42e795fe2f5422cc97ec3389ced1efe4",
                part="test",
            ),
        ),
    ),
}


def find(name: str) -> tuple[Dataset, tuple[DataFile, ...]]:
    """The data set and the files that `NAME` or `NAME/FILE` means; test and validation parts only when named.

    >>> [file.name for file in find("wikitext-2")[1]], [file.part for file in find("wikitext-2/test.txt")[1]]
    (['train.txt'], ['test'])
    """
    name, _, wanted = name.partition("/")
    if name not in DATASETS:
        raise TextError(f"there is no data set {name!r}; {nearest(name, DATASETS)}")
    dataset = DATASETS[name]
    if not wanted:
        files = tuple(file for file in dataset.files if file.part == "train")
        if not files:
            named = ", ".join(f"data:{name}/{file.name}" for file in dataset.files)
            raise TextError(
                f"data:{name} is for tests alone and no text to learn from; a file of it is named as {named}"
            )
        return dataset, files
    for file in dataset.files:
        if file.name == wanted:
            return dataset, (file,)
    raise TextError(f"data:{name} has no file {wanted!r}; {nearest(wanted, [file.name for file in dataset.files])}")


def resolve(name: str) -> Iterator[tuple[str, Path]]:
    """(label, path on this machine) of each file that `NAME` or `NAME/FILE` means, fetched if need be.

    Raises TextError for an unknown name, for a file that is neither here nor to be had, and for a wrong checksum.
    """
    dataset, files = find(name)
    name = name.partition("/")[0]
    for file in files:
        label = f"{PREFIX}{name}/{file.name}"
        mirror = os.environ.get(MIRROR)
        if mirror:
            path, checksum = Path(mirror) / name / f"{file.name}.xz", file.packed_sha256
            if not path.is_file():
                raise TextError(f"{label}: {MIRROR}={mirror} has no file {name}/{file.name}.xz")
        else:
            path, checksum = cache_folder() / name / file.name, file.sha256
            if not path.is_file():
                _fetch(label, dataset, file, path)
        status = path.stat()
        if _checksum(path, status.st_mtime_ns, status.st_size) != checksum:
            raise TextError(f"{path}: damaged: its SHA-256 is not {checksum}; delete it and try again")
        yield label, path


def cache_folder() -> Path:
    """Where fetched data sets are kept: `INKSTONE_CACHE`, or ~/.cache/inkstone."""
    return Path(os.environ.get(CACHE) or Path.home() / ".cache" / "inkstone")


@cache
def _checksum(path: Path, modified: int, size: int) -> str:
    """A file is read for its checksum once in a process, unless it was changed since."""
    return sha256(path)


def _fetch(label: str, dataset: Dataset, file: DataFile, path: Path) -> None:
    if file.address is None:
        raise TextError(
            f"{label} is a cut of {dataset.source} that is not public as such; set {MIRROR} to a folder that has it, "
            f"or download the source and name the file instead"
        )
    address = f"{GITHUB}/{quote(file.address)}"
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            content = answer.read()
    except (OSError, HTTPException) as error:
        raise TextError(
            f"{label} cannot be fetched from {address} ({error}); without a network, set {MIRROR} to a folder that has it"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise TextError(f"{label}: {address} has other content now: SHA-256 {found}, not {file.sha256}")
    try:
        with whole_file(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise TextError(
            f"{path}: cannot be written ({error.strerror}); set {CACHE} to a folder for fetched data sets"
        ) from None
