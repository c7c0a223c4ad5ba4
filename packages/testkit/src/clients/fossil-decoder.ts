import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

type ApplyDelta = (source: Uint8Array, delta: Uint8Array) => Uint8Array;

/** The function that npm `centrifuge` uses to apply deltas. The library does not export it, so it is extracted from the built file. */
export function clientsFossilDecoder(): ApplyDelta {
	const path = createRequire(import.meta.url)
		.resolve("centrifuge")
		.replace(/\.js$/, ".mjs");
	const text = readFileSync(path, "utf8");
	const [start, end] = [text.indexOf("const zValue = ["), text.indexOf("class JsonCodec")];
	if (start < 0 || end < start) throw new Error(`${path}: the build is not as this expects; look for applyDelta`);
	return new Function(`${text.slice(start, text.lastIndexOf("/**", end))}; return applyDelta;`)() as ApplyDelta;
}
