// Vision Transformers with random weights as ONNX files, in the forms ONNX Runtime knows: f32, int8 with activations
// quantised at run time (dynamic) or with fixed scales (QDQ). The speed of none of them depends on the weights' values.
import { writeFileSync } from "node:fs";

export const architectures = {
  vit_tiny_patch16_224: { dim: 192, heads: 3, depth: 12 },
  vit_small_patch16_224: { dim: 384, heads: 6, depth: 12 },
  vit_base_patch16_224: { dim: 768, heads: 12, depth: 12 },
};

// Protocol buffers, as far as ONNX files need them: fields are [number, value] with value a number (varint), a string,
// bytes, an f32 ({ f32 }) or a nested list of fields.
function varint(value) {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return Buffer.from([...bytes, Number(rest)]);
}

function message(fields) {
  const parts = [];
  for (const [number, value] of fields) {
    if (typeof value === "number") {
      parts.push(varint(number * 8), varint(value));
    } else if (value.f32 !== undefined) {
      const bytes = Buffer.alloc(4);
      bytes.writeFloatLE(value.f32);
      parts.push(varint(number * 8 + 5), bytes);
    } else {
      const bytes = typeof value === "string" ? Buffer.from(value) : Array.isArray(value) ? message(value) : value;
      parts.push(varint(number * 8 + 2), varint(bytes.length), bytes);
    }
  }
  return Buffer.concat(parts);
}

const types = { Float32Array: 1, Uint8Array: 2, Int8Array: 3, Int32Array: 6, BigInt64Array: 7 };

// A graph under construction; op() and constant() return the names of tensors.
class Graph {
  nodes = [];
  tensors = [];
  names = 0;

  op(type, inputs, attributes = {}, outputs = 1) {
    const names = Array.from({ length: outputs }, () => `t${this.names++}`);
    const attribute = ([name, value]) => {
      if (Array.isArray(value)) return [5, [[1, name], ...value.map((i) => [8, i]), [20, 7]]];
      if (Number.isInteger(value)) return [5, [[1, name], [3, value], [20, 2]]];
      return [5, [[1, name], [2, { f32: value }], [20, 1]]];
    };
    this.nodes.push([1, [...inputs.map((i) => [1, i]), ...names.map((o) => [2, o]), [3, `n${this.nodes.length}`],
      [4, type], ...Object.entries(attributes).map(attribute)]]);
    return outputs === 1 ? names[0] : names;
  }

  constant(dims, data) {
    const name = `c${this.names++}`;
    this.tensors.push([5, [...dims.map((d) => [1, d]), [2, types[data.constructor.name]], [8, name],
      [9, Buffer.from(data.buffer, data.byteOffset, data.byteLength)]]]);
    return name;
  }

  scalar(value) { return this.constant([], Float32Array.of(value)); }
  ints(...values) { return this.constant([values.length], BigInt64Array.from(values, BigInt)); }

  save(path, input, inputDims, output, outputDims) {
    const value = (name, dims) =>
      [[1, name], [2, [[1, [[1, 1], [2, dims.map((d) => [1, [[1, d]]])]]]]]];
    const graph = [...this.nodes, [2, "vit"], ...this.tensors, [11, value(input, inputDims)],
      [12, value(output, outputDims)]];
    writeFileSync(path, message([[1, 8], [7, graph], [8, [[1, ""], [2, 17]]]]));
  }
}

// A small generator: the files are the same every time.
let state = 1;
function random() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 31 - 1;
}
const floats = (count, scale) => Float32Array.from({ length: count }, () => random() * scale);
const bytes = (count) => Int8Array.from({ length: count }, () => Math.round(random() * 127));

/**
 * Writes a ViT of 224 × 224 pixels and patches of 16 that gives logits.
 * @param form  "f32", "dynamic", "dynamic, LayerNorm unfused" or "qdq"
 * @param cut   the last block computes keys and values of all tokens, and the rest of CLS alone: all that the logits
 *              depend on
 */
export function writeVit(path, { dim, heads, depth }, form, cut = false) {
  state = 1;
  const g = new Graph();
  const tokens = 197, headDim = dim / heads, mlp = 4 * dim;

  const norm = (x) => {
    const gamma = g.constant([dim], floats(dim, 1)), beta = g.constant([dim], floats(dim, 0.1));
    if (form !== "dynamic, LayerNorm unfused") return g.op("LayerNormalization", [x, gamma, beta], { axis: -1, epsilon: 1e-6 });
    // E[x²] − E[x]²: no pattern that the optimiser knows.
    const mean = g.op("ReduceMean", [x], { axes: [-1], keepdims: 1 });
    const square = g.op("ReduceMean", [g.op("Mul", [x, x])], { axes: [-1], keepdims: 1 });
    const variance = g.op("Sub", [square, g.op("Mul", [mean, mean])]);
    const deviation = g.op("Sqrt", [g.op("Add", [variance, g.scalar(1e-6)])]);
    return g.op("Add", [g.op("Mul", [g.op("Div", [g.op("Sub", [x, mean]), deviation]), gamma]), beta]);
  };
  // Activations with a fixed scale, for QDQ.
  const fixed = (x, scale = 0.03) => {
    const s = g.scalar(scale), z = g.constant([], Uint8Array.of(128));
    return g.op("DequantizeLinear", [g.op("QuantizeLinear", [x, s, z]), s, z]);
  };
  const linear = (x, k, n) => {
    const bias = g.constant([n], floats(n, 0.1));
    const scale = 1 / Math.sqrt(k);
    let y;
    if (form === "f32") {
      y = g.op("MatMul", [x, g.constant([k, n], floats(k * n, scale))]);
    } else {
      const weights = g.constant([k, n], bytes(k * n));
      const scales = g.constant([n], new Float32Array(n).fill(scale / 127));
      const zeros = g.constant([n], new Int8Array(n));
      if (form === "qdq") {
        y = g.op("MatMul", [fixed(x), g.op("DequantizeLinear", [weights, scales, zeros], { axis: 1 })]);
      } else {
        const [q, s, z] = g.op("DynamicQuantizeLinear", [x], {}, 3);
        const sum = g.op("Cast", [g.op("MatMulInteger", [q, weights, z, g.constant([], Int8Array.of(0))])], { to: 1 });
        y = g.op("Mul", [sum, g.op("Mul", [s, scales])]);
      }
    }
    return g.op("Add", [y, bias]);
  };
  const headsOf = (x, count) =>
    g.op("Transpose", [g.op("Reshape", [x, g.ints(1, count, heads, headDim)])], { perm: [0, 2, 1, 3] });
  const clsOf = (x) => g.op("Gather", [x, g.ints(0)], { axis: 1 });  // [1, 1, dim]
  const activation = (x) => (form === "qdq" ? fixed(x) : x);
  // Of queries that are `count` of x's tokens.
  const attention = (queries, count, x) => {
    const q = headsOf(linear(queries, dim, dim), count), [k, v] = [0, 1].map(() => headsOf(linear(x, dim, dim), tokens));
    const scores = g.op("MatMul", [activation(q), activation(g.op("Transpose", [k], { perm: [0, 1, 3, 2] }))]);
    const weights = g.op("Softmax", [g.op("Mul", [scores, g.scalar(1 / Math.sqrt(headDim))])], { axis: -1 });
    const context = g.op("MatMul", [form === "qdq" ? fixed(weights, 1 / 255) : weights, activation(v)]);
    const merged = g.op("Reshape", [g.op("Transpose", [context], { perm: [0, 2, 1, 3] }), g.ints(1, count, dim)]);
    return linear(merged, dim, dim);
  };
  const gelu = (x) => {
    const erf = g.op("Erf", [g.op("Div", [x, g.scalar(Math.SQRT2)])]);
    return g.op("Mul", [g.op("Mul", [x, g.op("Add", [erf, g.scalar(1)])]), g.scalar(0.5)]);
  };

  const patches = g.op("Conv", ["pixel_values", g.constant([dim, 3, 16, 16], floats(dim * 768, 0.03)),
    g.constant([dim], floats(dim, 0.1))], { kernel_shape: [16, 16], strides: [16, 16] });
  const rows = g.op("Transpose", [g.op("Reshape", [patches, g.ints(1, dim, tokens - 1)])], { perm: [0, 2, 1] });
  let x = g.op("Concat", [g.constant([1, 1, dim], floats(dim, 1)), rows], { axis: 1 });
  x = g.op("Add", [x, g.constant([1, tokens, dim], floats(tokens * dim, 0.1))]);
  for (let i = 0; i < depth; ++i) {
    const normed = norm(x);
    if (cut && i + 1 === depth) x = g.op("Add", [clsOf(x), attention(clsOf(normed), 1, normed)]);
    else x = g.op("Add", [x, attention(normed, tokens, normed)]);
    x = g.op("Add", [x, linear(gelu(linear(norm(x), dim, mlp)), mlp, dim)]);
  }
  const cls = g.op("Gather", [norm(x), g.constant([], BigInt64Array.of(0n))], { axis: 1 });
  g.nodes.push([1, [[1, linear(cls, dim, 1000)], [2, "logits"], [3, "out"], [4, "Identity"]]]);
  g.save(path, "pixel_values", [1, 3, 224, 224], "logits", [1, 1000]);
}
