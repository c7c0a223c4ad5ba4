import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { consoleFolder } from "../console-folder.ts";

/**
 * The console's files, read once at start and served from memory: a page that works offline, with no build step. The page is only markup and
 * code. Its figures come over `/console/feed`, a WebSocket that a shard serves under the same access rule.
 */
export interface Asset {
	readonly type: string;
	readonly body: Buffer;
	readonly etag: string;
}

const uplot = dirname(createRequire(import.meta.url).resolve("uplot/dist/uPlot.esm.js"));

const types: Readonly<Record<string, string>> = {
	html: "text/html; charset=utf-8",
	css: "text/css; charset=utf-8",
	js: "text/javascript; charset=utf-8",
};

const files: Readonly<Record<string, string>> = {
	"/console": join(consoleFolder, "index.html"),
	"/console/console.css": join(consoleFolder, "console.css"),
	"/console/uplot.js": join(uplot, "uPlot.esm.js"),
	"/console/uplot.css": join(uplot, "uPlot.min.css"),
	...Object.fromEntries(
		["admin", "console", "charts", "dom", "format", "quantile", "scale", "series", "try-it"].map((name) => [
			`/console/${name}.js`,
			join(consoleFolder, `${name}.js`),
		]),
	),
};

/** The files of a gateway's console. */
const gatewayFiles: Readonly<Record<string, string>> = {
	"/console": join(consoleFolder, "gateway.html"),
	...Object.fromEntries(
		["admin.js", "console.css", "dom.js", "format.js", "gateway.js"].map((name) => [`/console/${name}`, join(consoleFolder, name)]),
	),
};

/** @throws when a file of the console is missing: an error at start is better than a blank page. */
export function loadConsoleAssets(of: "cluster" | "gateway"): ReadonlyMap<string, Asset> {
	return new Map(
		Object.entries(of === "cluster" ? files : gatewayFiles).map(([path, file]) => {
			const body = readFileSync(file);
			const type = types[file.slice(file.lastIndexOf(".") + 1)] ?? "application/octet-stream";
			return [path, { type, body, etag: `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"` }];
		}),
	);
}

/** Headers that forbid framing and content sniffing, and loading anything from elsewhere. */
export const consoleHeaders: Readonly<Record<string, string>> = {
	"content-security-policy":
		"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"referrer-policy": "no-referrer",
	"x-content-type-options": "nosniff",
	"Cache-Control": "no-cache",
};
