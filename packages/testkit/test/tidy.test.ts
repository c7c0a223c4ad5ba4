import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { channelFields, configKeys, proxyFields } from "@shardcast/config";
import { describe, expect, it } from "vitest";
import { misused, titleIds } from "./words.ts";

/**
 * The rules of this repository as tests: what may import what, where each library may be imported, which words are not used, what must
 * never be committed.
 * Each rule names the file and line that breaks it.
 */
const root = join(import.meta.dirname, "../../..");

/** package or app → what it may import of ours. Imports point down. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
	"packages/ring": [],
	"packages/wire": [],
	"packages/native": [],
	"packages/protocol": ["wire"],
	"packages/selection": [],

	"packages/process": ["wire"],
	"packages/telemetry": ["process"],
	"packages/config": ["process", "wire"],
	"packages/scoreboard": ["native", "telemetry", "wire"],
	"packages/bus": ["native", "ring", "scoreboard", "wire"],
	"packages/channel-log": ["bus", "native", "wire"],
	"packages/channels": ["config", "protocol"],
	"packages/client": [],
	"packages/durable-store": ["postgres", "telemetry", "wire"],
	"packages/control": ["config", "process", "scoreboard", "selection", "telemetry"],
	"packages/guards": ["config", "process", "scoreboard", "telemetry", "wire"],
	"packages/limits": ["config", "scoreboard", "telemetry", "wire"],
	"packages/http": ["config", "scoreboard", "selection", "telemetry"],
	"packages/relay": ["config", "http", "process", "scoreboard"],
	"packages/redis": ["config", "telemetry"],
	"packages/postgres": ["config", "process", "telemetry"],
	"packages/redis-broker": ["bus", "channel-log", "redis", "wire"],
	"packages/nodes": ["config", "control", "native", "process", "redis", "scoreboard", "selection", "telemetry"],
	"packages/edge": ["config", "control", "http", "nodes", "process", "relay", "scoreboard", "selection", "telemetry"],
	"packages/kafka": [
		"bus",
		"channel-log",
		"config",
		"control",
		"native",
		"nodes",
		"process",
		"redis",
		"ring",
		"scoreboard",
		"telemetry",
		"wire",
	],
	"packages/webhooks": ["channels", "config", "native", "ring", "telemetry"],
	"packages/server": [
		"bus",
		"channel-log",
		"channels",
		"config",
		"control",
		"durable-store",
		"guards",
		"http",
		"kafka",
		"limits",
		"native",
		"nodes",
		"postgres",
		"process",
		"protocol",
		"redis",
		"redis-broker",
		"scoreboard",
		"selection",
		"telemetry",
		"webhooks",
		"wire",
	],
	"packages/gateway": [
		"bus",
		"config",
		"control",
		"http",
		"limits",
		"native",
		"nodes",
		"process",
		"scoreboard",
		"server",
		"telemetry",
		"wire",
	],
	"packages/testkit": ["ring", "native", "wire", "scoreboard", "bus", "config", "process", "telemetry"],
	"apps/shard": [
		"bus",
		"channel-log",
		"config",
		"control",
		"kafka",
		"limits",
		"native",
		"process",
		"scoreboard",
		"server",
		"telemetry",
		"webhooks",
		"wire",
	],
	"apps/gateway": ["bus", "control", "gateway", "limits", "native", "process", "wire"],
	"apps/balancer": [
		"bus",
		"config",
		"control",
		"edge",
		"gateway",
		"http",
		"limits",
		"native",
		"process",
		"relay",
		"scoreboard",
		"selection",
		"telemetry",
		"wire",
	],
	"apps/supervisor": [
		"bus",
		"channel-log",
		"config",
		"control",
		"edge",
		"gateway",
		"guards",
		"http",
		"kafka",
		"limits",
		"native",
		"nodes",
		"postgres",
		"process",
		"scoreboard",
		"telemetry",
		"webhooks",
		"wire",
		"server",
	],
	loadtest: ["ring", "native", "wire", "scoreboard", "bus", "channel-log", "gateway", "testkit", "config", "process", "redis"],
};

/** Library → the only files that may import it. */
const importers: Readonly<Record<string, RegExp>> = {
	"uWebSockets.js": /^packages\/server\/src\/transports\/websocket\/sockets|^loadtest\/src\/bench\//,
	jose: /^packages\/server\/src\/sessions\/centrifuge\/tokens\/(jose|token-(verifier|signer))/,
	lmdb: /^packages\/durable-store\/src\/embedded\//,
	koffi: /^packages\/native\/src\//,
	kafkajs: /^packages\/kafka\/src\/|^packages\/testkit\/src\/kafka\/|^loadtest\/src\//,
	pg: /^packages\/postgres\/src\/connection|^packages\/testkit\/src\/servers\/postgres-/,
	"@redis/client": /^packages\/redis\/src\/connection/,
	piscina: /^packages\/kafka\/src\/|^loadtest\/src\//,
	commander: /^packages\/config\/src\/(options|load)|^apps\/supervisor\/src\/(cli|commands)|^loadtest\/src\//,
	zod: /^packages\/config\/src\/(options|load)/,
	yaml: /^packages\/config\/src\/(options|load)/,
	pino: /^packages\/telemetry\/src\/log/,
	"pino-pretty": /^packages\/telemetry\/src\/log/,
	"prom-client": /^packages\/telemetry\/src\/metrics/,
	"@bufbuild/protobuf/wire": /^packages\/protocol\/src\/protobuf\//,
	"hdr-histogram-js": /^loadtest\/src\//,
	ws: /\/test\/|^packages\/testkit\/src\//,
};

interface Source {
	readonly path: string;
	readonly text: string;
	readonly lines: readonly string[];
}

function walk(directory: string, into: string[] = []): string[] {
	for (const entry of readdirSync(directory, { withFileTypes: true })) {
		if (["node_modules", "dist", ".git", "results", ".cache"].includes(entry.name)) continue;
		const path = join(directory, entry.name);
		if (entry.isDirectory()) walk(path, into);
		else into.push(path);
	}
	return into;
}

const files: Source[] = walk(root)
	.map((path) => relative(root, path).split(sep).join("/"))
	.filter((path) => /\.(ts|mjs|js|json|ya?ml|md|sh|html|css)$/.test(path) && path !== "package-lock.json")
	.filter((path) => statSync(join(root, path)).size < 1_000_000)
	.map((path) => {
		const text = readFileSync(join(root, path), "utf8");
		return { path, text, lines: text.split("\n") };
	});
const code = files.filter(({ path }) => /\.(ts|mjs)$/.test(path));
const production = code.filter(({ path }) => path.includes("/src/"));

const importPattern = /(?:\bfrom\s+|\bimport\s+|\bimport\(\s*)["']([^"']+)["']/g;
/** What stands in a comment is an example, not an import. */
const comments = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;
function importsOf(source: Source): string[] {
	return [...source.text.replace(comments, "").matchAll(importPattern)].map((match) => match[1]!);
}
const homeOf = (path: string): string => (path.startsWith("loadtest/") ? "loadtest" : path.split("/").slice(0, 2).join("/"));

describe("tidy", () => {
	it("imports point down: a package imports only what the table allows, and apps never import apps", () => {
		const broken: string[] = [];
		for (const source of production) {
			const allowed = mayImport[homeOf(source.path)];
			if (allowed === undefined) broken.push(`${source.path}: ${homeOf(source.path)} is not in the table of this test`);
			for (const name of importsOf(source)) {
				const ours = /^@shardcast\/([^/]+)/.exec(name)?.[1];
				if (ours && !allowed?.includes(ours)) broken.push(`${source.path} imports ${name}`);
				if (name.startsWith(".")) {
					const target = join(source.path, "..", name).split(sep).join("/");
					if (!target.startsWith(`${homeOf(source.path)}/`)) broken.push(`${source.path} reaches into ${target}`);
				}
			}
		}
		expect(broken).toEqual([]);
	});

	it("each library is imported only where the table allows it", () => {
		const broken: string[] = [];
		for (const source of production)
			for (const name of importsOf(source)) {
				const allowed = importers[name.startsWith("@") ? name : name.split("/")[0]!];
				if (allowed && !allowed.test(source.path)) broken.push(`${source.path} imports ${name}, which only ${allowed} may`);
			}
		expect(broken).toEqual([]);
	});

	it("only the guard gives uWebSockets.js a callback: an exception that leaves a callback ends the process", () => {
		const guard = "packages/server/src/transports/websocket/sockets-app.ts";
		const registers = /\bimport \{[^}]*\bApp\b[^}]*\} from "\.{1,2}\/sockets-native\.ts"|\.on(Aborted|Data|Writable)\(/;
		expect(registers.test(files.find(({ path }) => path === guard)!.text), "the rule knows the guard").toBe(true);
		const broken = production.filter(({ path, text }) => path.startsWith("packages/server/src/") && path !== guard && registers.test(text));
		expect(broken.map(({ path }) => path)).toEqual([]);
	});

	it("no upgrade happens inside of cork: uWebSockets.js may take the new WebSocket for the response and close it", () => {
		const broken = production.filter(({ text }) => /cork\(\(\) =>[^;]*upgrade\(/.test(text));
		expect(broken.map(({ path }) => path)).toEqual([]);
	});

	it("every import of a library is declared by the package that makes it", () => {
		const broken: string[] = [];
		for (const source of production) {
			const manifest = JSON.parse(readFileSync(join(root, homeOf(source.path), "package.json"), "utf8")) as {
				dependencies?: object;
				peerDependencies?: object;
			};
			const declared = new Set(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }));
			for (const name of importsOf(source)) {
				if (name.startsWith(".") || name.startsWith("node:")) continue;
				const library = name
					.split("/")
					.slice(0, name.startsWith("@") ? 2 : 1)
					.join("/");
				if (!declared.has(library))
					broken.push(`${source.path} imports ${library}, which ${homeOf(source.path)}/package.json does not list`);
			}
		}
		expect(broken).toEqual([]);
	});

	it("no file uses a word that the project has a better one for", { tags: ["long"] }, () => {
		const broken: string[] = [];
		for (const { path, text, lines } of files) {
			if (path === "CHANGELOG.md" || path === "packages/testkit/test/words.ts" || path === "packages/testkit/test/words.test.ts") continue;
			// In most files there is none: one search of all the text is faster than one of each line.
			if (misused(path, text).length === 0) continue;
			lines.forEach((line, index) => {
				for (const { found, instead } of misused(path, line)) broken.push(`${path}:${index + 1}: "${found}": ${instead}`);
			});
		}
		expect(broken).toEqual([]);
	});

	it("no test title cites an id that no page lists", () => {
		const broken: string[] = [];
		for (const { path, lines } of code)
			lines.forEach((line, index) => {
				if (path.includes("/test/") && !path.endsWith("/words.test.ts") && titleIds.test(line))
					broken.push(`${path}:${index + 1}: ${line.trim()}`);
			});
		expect(broken).toEqual([]);
	});

	it("no file has 1,000 lines", () => {
		expect(files.filter(({ path, lines }) => lines.length >= 1000 && !path.endsWith(".json")).map(({ path }) => path)).toEqual([]);
	});

	it("no reminder is left in the code, no test is skipped or singled out without a reason, none slows down all others", () => {
		const marks = new RegExp(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"].map((word) => `\\b${word}\\b`).join("|"));
		const broken: string[] = [];
		for (const { path, lines } of code)
			lines.forEach((line, index) => {
				if (marks.test(line)) broken.push(`${path}:${index + 1}: ${line.trim()}`);
				if (/\b(it|test|describe)\.only\(/.test(line)) broken.push(`${path}:${index + 1}: .only`);
				// 1.3 s of CPU in each process that uses one.
				if (/\bunit: "(binary|grapheme)"/.test(line))
					broken.push(`${path}:${index + 1}: write arbitraryText(), see testkit/src/arbitraries.ts`);
				// All later files of the process would load all sources again.
				if (/\bresetModules\(/.test(line)) broken.push(`${path}:${index + 1}: import with ?again instead, see vitest.config.ts`);
			});
		expect(broken).toEqual([]);
	});

	it("bytes are copied by `new Uint8Array(bytes)`: `slice()` of a Buffer is a view of the same memory", () => {
		const broken: string[] = [];
		for (const { path, lines } of production)
			lines.forEach((line, index) => {
				if (/\.slice\(\)/.test(line)) broken.push(`${path}:${index + 1}: ${line.trim()}`);
			});
		expect(broken).toEqual([]);
	});

	it("no empty catch swallows an error without saying why", () => {
		const broken: string[] = [];
		for (const { path, text } of production)
			for (const match of text.matchAll(/catch\s*(\([^)]*\))?\s*\{\s*\}/g))
				broken.push(`${path}:${text.slice(0, match.index).split("\n").length}`);
		expect(broken).toEqual([]);
	});

	it("every option, and every field of a namespace or proxy, is read by code outside of the tables of options", { tags: ["long"] }, () => {
		const readers = production.filter(({ path }) => !path.startsWith("packages/config/src/options/sections/"));
		const words = new Set(readers.flatMap(({ text }) => text.match(/[A-Za-z]\w+/g) ?? []));
		// Code composes these names, for each right and each hook.
		const composed = /^allow(Publish|History|Presence)For|^(subscribe|publish|subRefresh)Proxy/;
		const names = [...configKeys, ...Object.keys(channelFields), ...Object.keys(proxyFields)];
		expect(names.filter((name) => !words.has(name) && !composed.test(name))).toEqual([]);
	});

	it("every source file is used: an entry of its package, or imported by another file", { tags: ["long"] }, () => {
		const imported = new Set<string>();
		for (const source of code)
			for (const name of importsOf(source)) if (name.startsWith(".")) imported.add(join(source.path, "..", name).split(sep).join("/"));
		// Workers and child programs are started by path, so a file name in a string counts as a use.
		const mentioned = (path: string): boolean => {
			const file = path.split("/").at(-1)!.replace(/\.ts$/, "");
			return files.some((other) => other.path !== path && new RegExp(`["'/\`]${file}\\.(js|ts)["'\`]|/${file}\\.js`).test(other.text));
		};
		const orphans = production
			.map(({ path }) => path)
			.filter((path) => !/\/(index|main)\.ts$/.test(path) && !/\.d\.ts$/.test(path) && !imported.has(path) && !mentioned(path));
		expect(orphans).toEqual([]);
	});
});
