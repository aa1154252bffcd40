// vitrail bench and ONNX Runtime on the same networks, in turns, in one run:
//
//   tools/test.sh                                             # builds build/release/vitrail
//   npm install --prefix bench/peers --ignore-scripts
//   taskset -c 0 node bench/peers/compare.mjs --threads 1     # two threads: taskset -c 0,1 … --threads 2
//
// All of them give logits and nothing else, for which Vitrail leaves out what of the last block no logit depends on, and
// its keys and values. It runs once more with all tokens as a result; ONNX Runtime, which takes a graph as it is, once more
// with a graph from which what becomes of the patches there has been cut by hand.
//
// On a CPU with AMX both multiply with it; bench/peers/without_amx.c holds both to AVX512-VNNI.
//
// Options: --threads N, --rounds N (7), --archs NAME,… (vit_tiny_patch16_224, small, base), --program PATH (build/release/vitrail),
// -o FOLDER (bench/results/CLASS, that of our int8 product). Writes peers-THREADS.md, .json and .svg there.
//
// A round runs every candidate once for at least three images and keeps its median; what is shown is the median over
// the rounds, and as noise the distance of the rounds' quartiles. Ratios are taken within a round, where both suffered
// alike, and their median is shown.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import ort from "onnxruntime-node";
import { architectures, writeVit } from "./vit_onnx.mjs";

const { values: options } = parseArgs({
  options: {
    threads: { type: "string", default: "1" },
    rounds: { type: "string", default: "7" },
    archs: { type: "string", default: Object.keys(architectures).join(",") },
    program: { type: "string", default: "build/release/vitrail" },
    output: { type: "string", short: "o" },
  },
});
const threads = Number(options.threads), rounds = Number(options.rounds);
const archs = options.archs.split(",");
for (const arch of archs)
  if (!architectures[arch]) throw new Error(`--archs: no "${arch}"; there are ${Object.keys(architectures).join(", ")}`);
if (!(threads >= 1) || !(rounds >= 1)) throw new Error("--threads and --rounds: at least 1");

const images = 3;
const quantile = (list, q) => {
  const sorted = [...list].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q, low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
};
const median = (list) => quantile(list, 0.5);

function ours(arch, dtype, outputs) {
  return async () => {
    const text = execFileSync(options.program, ["bench", "--arch", arch, "--threads", String(threads), "--dtype", dtype,
      "--outputs", outputs, "--runs", String(images), "--json"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    const result = JSON.parse(text);
    const line = (start) => result.kernels.find((l) => l.startsWith(start))?.slice(start.length);
    if (dtype === "int8") kernels = line("int8 product, first choice: ") ?? line("int8 product: ");
    return result.median_ms;
  };
}
let kernels = "";

async function onnxRuntime(folder, arch, form, { exact = false, cut = false } = {}) {
  const path = join(folder, "model.onnx");
  writeVit(path, architectures[arch], form, cut);
  const session = await ort.InferenceSession.create(path, {
    intraOpNumThreads: threads, interOpNumThreads: 1, graphOptimizationLevel: "all", logSeverityLevel: 3,
    // Without VNNI its u8 × s8 product saturates, unless told not to.
    extra: { session: { x64quantprecision: exact ? "1" : "0" } },
  });
  const pixels = Float32Array.from({ length: 3 * 224 * 224 }, (_, i) => Math.sin(i));
  const feeds = { pixel_values: new ort.Tensor("float32", pixels, [1, 3, 224, 224]) };
  const once = async () => {
    const start = performance.now();
    await session.run(feeds);
    return performance.now() - start;
  };
  return async () => {
    await once();  // warm-up
    const times = [];
    for (let i = 0; i < images; ++i) times.push(await once());
    return median(times);
  };
}

const forms = {
  "ORT f32": ["f32"], "ORT int8 dynamic": ["dynamic"],
  "ORT int8 dynamic, LayerNorm unfused": ["dynamic, LayerNorm unfused"], "ORT int8 QDQ": ["qdq"],
  "ORT int8 dynamic, exact sums": ["dynamic", { exact: true }],
};
const networks = [];
const folder = mkdtempSync(join(tmpdir(), "vitrail-peers-"));
try {
  for (const arch of archs) {
    const candidates = {
      "Vitrail int8": ours(arch, "int8", "logits"), "Vitrail int8, all tokens": ours(arch, "int8", "all"),
      "Vitrail f32": ours(arch, "f32", "logits"),
    };
    for (const [name, form] of Object.entries(forms)) candidates[name] = await onnxRuntime(folder, arch, ...form);
    // No form of the network as it is, so not among those of which the best one counts.
    candidates["ORT int8 dynamic, last block cut"] = await onnxRuntime(folder, arch, "dynamic", { cut: true });
    const times = Object.fromEntries(Object.keys(candidates).map((name) => [name, []]));
    for (let round = 0; round < rounds; ++round)
      for (const [name, run] of Object.entries(candidates)) {
        if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${arch}, round ${round + 1} of ${rounds}: ${name}`);
        times[name].push(await run());
      }
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
    const int8 = Object.keys(forms).filter((name) => name.includes("int8"));
    const rows = Object.entries(times).map(([name, list]) => ({
      name, median_ms: median(list), min_ms: Math.min(...list),
      noise: (quantile(list, 0.75) - quantile(list, 0.25)) / median(list),
      over_vitrail_int8: median(list.map((t, i) => t / times["Vitrail int8"][i])),
    }));
    const best = rows.filter((r) => int8.includes(r.name)).reduce((a, b) => (a.over_vitrail_int8 <= b.over_vitrail_int8 ? a : b));
    networks.push({ arch, best_ort_int8: best.name, rows });
  }
} finally {
  rmSync(folder, { recursive: true });
}

const cpu = cpus()[0].model;
const ortVersion = ort.env.versions.node ?? ort.env.versions.common;
const title = `${threads} thread${threads > 1 ? "s" : ""}, batch 1, ${cpu}`;
const report = { cpu, threads, rounds, images_per_round: images, kernels, onnxruntime: ortVersion, networks };

const table = [
  `${title}. Vitrail's int8 product: ${kernels}; ONNX Runtime ${ortVersion}. Medians of ${rounds} rounds in turns; noise: between the ` +
    "quartiles of the rounds; ratios: medians of those within a round.", "",
  "| network | runtime | median ms | min ms | noise | time over Vitrail int8 |", "|---|---|---|---|---|---|",
  ...networks.flatMap(({ arch, best_ort_int8, rows }) => rows.map((r) =>
    `| ${arch} | ${r.name}${r.name === best_ort_int8 ? " (best int8)" : ""} | ${r.median_ms.toFixed(1)} | ` +
    `${r.min_ms.toFixed(1)} | ${(100 * r.noise).toFixed(0)} % | ${r.over_vitrail_int8.toFixed(2)} |`)), "",
].join("\n");

// One group of bars per network, each as long as its time over the network's longest.
function svg() {
  const row = 22, left = 290, width = 420, text = 'font-family="sans-serif" font-size="13"';
  const lines = [];
  let y = 34;
  for (const { arch, rows } of networks) {
    lines.push(`<text x="12" y="${(y += 26) - 8}" ${text} font-weight="bold">${arch}</text>`);
    const longest = Math.max(...rows.map((r) => r.median_ms));
    for (const r of rows) {
      const length = (r.median_ms / longest) * width, own = r.name.startsWith("Vitrail");
      lines.push(`<text x="${left - 8}" y="${y + 14}" ${text} text-anchor="end">${r.name}</text>`,
        `<rect x="${left}" y="${y + 2}" width="${length.toFixed(1)}" height="${row - 6}" fill="${own ? "#2a6f97" : "#b0b7bd"}"/>`,
        `<text x="${left + length + 6}" y="${y + 14}" ${text}>${r.median_ms.toFixed(1)} ms</text>`);
      y += row;
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${left + width + 90}" height="${y + 14}">` +
    `<rect width="100%" height="100%" fill="white"/><text x="12" y="24" ${text}>Time of one image: ${title}</text>` +
    `${lines.join("")}</svg>\n`;
}

const output = options.output ?? join("bench/results", kernels);
mkdirSync(output, { recursive: true });
const base = join(output, `peers-${threads}`);
writeFileSync(`${base}.json`, JSON.stringify(report, null, 2) + "\n");
writeFileSync(`${base}.md`, table);
writeFileSync(`${base}.svg`, svg());
console.log(table);
