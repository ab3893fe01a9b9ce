// tf.train.adam of TensorFlow.js as a program that `refimpl check` judges.
//
//   npm install --prefix tools/peers/tfjs
//   refimpl gen --suite full --dialect tfjs.Adam --out build/tfjs
//   refimpl check --program 'node tools/peers/tfjs/run.mjs' --dialect tfjs.Adam --vectors build/tfjs
//
// From top to bottom: the optimizer, a case, the themes. vectors/README.md describes the format.

import fs from "node:fs";
import path from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import yaml from "js-yaml";
import {npy, readNpz, writeNpz} from "./npz.mjs";

class Unsupported extends Error {}

// ---- The optimizer: one for all parameters, with one set of hyper-parameters -------------------------------------------------

async function start(entry, slug, arrays) {
  if (entry.groups.length > 1) throw new Unsupported("an optimizer has one set of hyper-parameters, no groups");
  if (entry.dtype !== "float32") throw new Unsupported("a Tensor has float32, no " + entry.dtype);
  const hyper = entry.groups[0];
  const optimizer = tf.train.adam(hyper.learningRate, hyper.beta1, hyper.beta2, hyper.epsilon);
  const values = (member, shape) => arrays.get(member)?.values ?? new Float32Array(shape.reduce((product, n) => product * n, 1));
  const tensor = (member, shape) => tf.tensor(values(member, shape), shape, "float32");
  const variables = entry.params.map((p) => tf.variable(tensor(`${slug}/param.${p.name}`, p.shape), true, p.name));
  if (entry.params.some((p) => p.moments || p.step)) {
    const steps = new Set(entry.params.map((p) => p.step ?? 0));
    if (steps.size > 1) throw new Unsupported("one step count for all parameters");
    const moments = (array, own) =>
      entry.params.map((p) => ({name: `${p.name}/${own}`, tensor: tensor(`${slug}/${array}.${p.name}`, p.shape)}));
    const iterations = {name: "iter", tensor: tf.scalar([...steps][0], "int32")};
    await optimizer.setWeights([iterations, ...moments("exp_avg", "m"), ...moments("exp_avg_sq", "v")]);
  }
  return {optimizer, variables};
}

function step({optimizer, variables}, gradients, changes, gradient) {
  for (const [name, value] of Object.entries(changes)) {
    if (name.startsWith("beta")) throw new Unsupported("betas cannot change: their powers are running products");
    optimizer[name] = value;
  }
  const given = variables.filter((v) => gradients[v.name] !== "none");
  if (given.some((v) => gradients[v.name] !== "dense")) throw new Unsupported("a gradient is a Tensor: nothing sparse can be given");
  optimizer.applyGradients(given.map((v) => ({name: v.name, tensor: tf.tensor(gradient(v.name), v.shape, "float32")})));
}

/** The state as getWeights names it; moments that no gradient has made yet are zero. */
async function state({optimizer, variables}) {
  const held = new Map((await optimizer.getWeights()).map(({name, tensor}) => [name, tensor]));
  const moment = (v, own) => held.get(`${v.name}/${own}`)?.dataSync() ?? new Float32Array(v.size);
  const arrays = (v) => ({param: v.dataSync(), exp_avg: moment(v, "m"), exp_avg_sq: moment(v, "v")});
  const copies = (v) => Object.fromEntries(Object.entries(arrays(v)).map(([array, values]) => [array, Float32Array.from(values)]));
  return variables.map((v) => ({name: v.name, shape: v.shape, arrays: copies(v)}));
}

// ---- A case ------------------------------------------------------------------------------------------------------------------

async function run(entry, slug, arrays) {
  const held = await start(entry, slug, arrays);
  const recorded = [], record = new Set(entry.record);
  let t = 0;
  for (const line of entry.steps)
    for (let left = line.repeat ?? 1; left > 0; left -= 1) {
      t += 1;
      step(held, line.gradients, line.hyper?.[0] ?? {}, (name) => arrays.get(`${slug}/grad.${t}.${name}.dense`).values);
      if (record.has(t)) recorded.push(await state(held));
    }
  const members = new Map();
  for (const [k, param] of (recorded[0] ?? []).entries())
    for (const array of Object.keys(param.arrays)) {
      const bytes = Buffer.concat(recorded.map((params) => Buffer.from(params[k].arrays[array].buffer)));
      members.set(`${slug}/${array}.${param.name}`, npy("<f4", [recorded.length, ...param.shape], bytes));
    }
  return members;
}

async function attempt(entry, slug, arrays) {
  try {
    return await run(entry, slug, arrays);
  } catch (error) {
    const text = error.message, bytes = Buffer.alloc(4 * text.length);
    [...text].forEach((letter, k) => bytes.writeUInt32LE(letter.codePointAt(0), 4 * k));
    return new Map([[`${slug}/${error instanceof Unsupported ? "unsupported" : "error"}`, npy(`<U${text.length}`, [], bytes)]]);
  } finally {
    tf.disposeVariables();
  }
}

// ---- The themes ----------------------------------------------------------------------------------------------------------

const [vectors, results] = process.argv.slice(2);
const manifest = yaml.load(fs.readFileSync(path.join(vectors, "MANIFEST.yaml"), "utf8"));
for (const theme of Object.keys(manifest.themes).filter((name) => name.startsWith("tfjs.Adam/"))) {
  const arrays = readNpz(path.join(vectors, `${theme}.npz`)), members = new Map();
  for (const entry of yaml.load(fs.readFileSync(path.join(vectors, `${theme}.yaml`), "utf8")).cases)
    for (const [name, bytes] of await attempt(entry, entry.id.split("/")[2], arrays)) members.set(name, bytes);
  writeNpz(path.join(results, `${theme}.npz`), members);
}
