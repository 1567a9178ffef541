"""Builds a BERT encoder (Devlin and others, 2018) as an ONNX graph, with the pooling to a sentence vector.

Inputs: input_ids and attention_mask, int64 [batch, sequence]. Output: sentence_embedding, float32
[batch, 1024], of length 1: the mean over the tokens, normalised, then padded with zeros to 1024, which
changes no inner product. The table of the vocabulary stays in four bits (GatherBlockQuantized of ONNX
Runtime). The layers are float32, which is faster on batches than four or eight bits: see
docs/decisions/embedder-model.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from services.embedder.model.default_model.weights import BLOCK, Weights

DIMENSIONS = 1024
MICROSOFT = "com.microsoft"
# Added to the attention scores of padding, so that its weights are zero after the softmax.
NOWHERE = -1e9


class _Graph:
    """Collects nodes and constants. `add` and the methods for constants return the name of their value."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: NDArray[Any]) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def number(self, value: float) -> str:
        return self.constant(f"number {value}", np.array(value, np.float32))

    def numbers(self, *values: int) -> str:
        return self.constant(f"numbers {values}", np.array(values, np.int64))

    def four_bits(self, name: str, shape: Sequence[int], packed: bytes) -> str:
        tensor = TensorProto(name=name, data_type=TensorProto.UINT4, dims=shape, raw_data=packed)
        self.constants[name] = tensor
        return name

    def add(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        output = f"{kind} {len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], output, domain=domain, **attributes))
        return output


def sentence_encoder(weights: Weights) -> onnx.ModelProto:
    """Returns the ONNX model of these weights."""
    graph = _Graph()
    mask = graph.add("Cast", "attention_mask", to=TensorProto.FLOAT)
    # [batch, 1, 1, sequence]: the same for every head and every query token.
    padding = graph.add(
        "Unsqueeze",
        graph.add("Mul", graph.add("Sub", graph.number(1.0), mask), graph.number(NOWHERE)),
        graph.numbers(1, 2),
    )
    states = _embedded(graph, weights)
    for layer in range(weights.layers):
        states = _layer(graph, weights, f"l{layer}", states, padding)
    vector = _sentence(graph, weights, states, mask)
    graph.nodes.append(helper.make_node("Identity", [vector], ["sentence_embedding"]))
    tokens = ["batch", "sequence"]
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "sentence_encoder",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, tokens)
                for name in ("input_ids", "attention_mask")
            ],
            [helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", DIMENSIONS])],
            list(graph.constants.values()),
        ),
        producer_name="celeriac",
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)],
        ir_version=10,
    )


def _embedded(graph: _Graph, weights: Weights) -> str:
    packed, scales = weights.packed_table("emb.word")
    rows, blocks = scales.shape
    table = graph.four_bits("emb.word", (rows, weights.hidden), packed.tobytes())
    zero_points = graph.four_bits("emb.word.zero", (rows, blocks), b"\x88" * (rows * blocks // 2))
    words = graph.add(
        "GatherBlockQuantized",
        table,
        "input_ids",
        graph.constant("emb.word.scales", scales),
        zero_points,
        domain=MICROSOFT,
        gather_axis=0,
        quantize_axis=1,
        block_size=BLOCK,
    )
    # The input is one sentence, never a pair, so the token type is constant: it is added to the positions.
    places = weights.floats("emb.pos").reshape(-1, weights.hidden)
    places = places + weights.floats("emb.type")[: weights.hidden]
    length = graph.add("Shape", "input_ids", start=1, end=2)
    here = graph.add("Slice", graph.constant("emb.pos", places), graph.numbers(0), length, graph.numbers(0))
    return _normalised(graph, weights, "emb.ln", graph.add("Add", words, here))


def _layer(graph: _Graph, weights: Weights, name: str, states: str, padding: str) -> str:
    attended = _attention(graph, weights, name, states, padding)
    states = _normalised(graph, weights, f"{name}.aln", graph.add("Add", states, attended))
    inner = _linear(graph, weights, f"{name}.fi", states, weights.hidden)
    # GELU by the error function: x / 2 * (1 + erf(x / sqrt 2)).
    error = graph.add("Erf", graph.add("Mul", inner, graph.number(2**-0.5)))
    half = graph.add("Mul", inner, graph.number(0.5))
    inner = graph.add("Mul", half, graph.add("Add", error, graph.number(1.0)))
    outer = _linear(graph, weights, f"{name}.fo", inner, weights.inner)
    return _normalised(graph, weights, f"{name}.oln", graph.add("Add", states, outer))


def _attention(graph: _Graph, weights: Weights, name: str, states: str, padding: str) -> str:
    width = weights.hidden // weights.heads

    def heads(kind: str, order: Sequence[int]) -> str:
        flat = _linear(graph, weights, f"{name}.{kind}", states, weights.hidden)
        cut = graph.add("Reshape", flat, graph.numbers(0, 0, weights.heads, width))
        return graph.add("Transpose", cut, perm=order)

    scores = graph.add("MatMul", heads("q", [0, 2, 1, 3]), heads("k", [0, 2, 3, 1]))
    scores = graph.add("Add", graph.add("Mul", scores, graph.number(width**-0.5)), padding)
    seen = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), heads("v", [0, 2, 1, 3]))
    together = graph.add(
        "Reshape", graph.add("Transpose", seen, perm=[0, 2, 1, 3]), graph.numbers(0, 0, weights.hidden)
    )
    return _linear(graph, weights, f"{name}.ao", together, weights.hidden)


def _linear(graph: _Graph, weights: Weights, name: str, states: str, inputs: int) -> str:
    product = graph.add("MatMul", states, graph.constant(f"{name}.w", weights.matrix(f"{name}.w", inputs)))
    return graph.add("Add", product, graph.constant(f"{name}.b", weights.floats(f"{name}.b")))


def _normalised(graph: _Graph, weights: Weights, name: str, states: str) -> str:
    scale = graph.constant(f"{name}.w", weights.floats(f"{name}.w"))
    shift = graph.constant(f"{name}.b", weights.floats(f"{name}.b"))
    return graph.add("LayerNormalization", states, scale, shift, axis=-1, epsilon=weights.epsilon)


def _sentence(graph: _Graph, weights: Weights, states: str, mask: str) -> str:
    """Adds the pooling. The sum is not divided by the count, since it is normalised to length 1 anyway."""
    counted = graph.add("Mul", states, graph.add("Unsqueeze", mask, graph.numbers(2)))
    total = graph.add("ReduceSum", counted, graph.numbers(1), keepdims=0)
    unit = graph.add("LpNormalization", total, axis=-1, p=2)
    lifted = graph.numbers(0, 0, 0, DIMENSIONS - weights.hidden)
    return graph.add("Pad", unit, lifted, graph.number(0.0))
