import { type Document, isMap, isScalar, LineCounter, type ParsedNode, parseDocument } from "yaml";
import { type ConfigKey, configKeys, fileKey } from "../options/options.ts";
import { linesMax } from "./config-error.ts";
import { type FileToRead, readFileText } from "./file-text.ts";
import { nearest } from "./nearest.ts";
import type { Found } from "./source.ts";

/** What a config file says, and what is wrong with it. */
export interface FileSettings {
	readonly found: ReadonlyMap<ConfigKey, Found>;
	/** One line per mistake: bad syntax, unknown key, a key twice. */
	readonly mistakes: readonly string[];
	/** The settings that a mistake leaves open, or "all" when nothing of the file could be read. */
	readonly unread: ReadonlySet<ConfigKey> | "all";
}

const keys = new Map(configKeys.map((key) => [fileKey(key), key]));
const shownKeyMax = 80;

/** The settings of a YAML file: one flat table, keys in camelCase. Never throws. */
export function fromFile(file: FileToRead): FileSettings {
	const content = readFileText(file);
	if ("problem" in content) return unreadable([content.problem]);
	const lines = new LineCounter();
	const lineOf = (offset: number | undefined) => lines.linePos(offset ?? 0).line;
	try {
		// The parser's own search for keys that are there twice takes time in proportion to the square of their number.
		const document = parseDocument(content.text, { lineCounter: lines, uniqueKeys: false });
		const mistakes = [...document.errors, ...document.warnings].map(
			({ pos, message }) => `${file.path}:${lineOf(pos[0])}: ${withoutExcerpt(message)}`,
		);
		return mistakes.length > 0 ? unreadable(mistakes) : settingsOf(document, file.path, lineOf);
	} catch (error) {
		// Nothing that the parser is known to do.
		return unreadable([`${file.path}: can't be read as YAML: ${withoutExcerpt((error as Error).message)}; correct it or name another`]);
	}
}

function settingsOf(document: Document.Parsed, path: string, lineOf: (offset: number | undefined) => number): FileSettings {
	const { contents } = document;
	if (contents === null) return { found: new Map(), mistakes: [], unread: new Set() };
	if (!isMap(contents))
		return unreadable([`${path}:${lineOf(contents.range?.[0])}: not a table of settings; write lines such as "shards: 3"`]);

	const found = new Map<ConfigKey, Found>();
	const mistakes: string[] = [];
	const unread = new Set<ConfigKey>();
	const seen = new Set<string>();
	for (const { key: node, value } of contents.items as { key: ParsedNode; value: ParsedNode | null }[]) {
		const name = isScalar(node) ? String(node.value) : String(node);
		const line = lineOf(node.range?.[0]);
		const key = keys.get(name);
		if (key === undefined) {
			// To look for what was meant takes time, and the rest of many is only counted.
			const meant = mistakes.length < linesMax ? nearest(name, [...keys.keys()]) : undefined;
			const fix = meant === undefined ? "`shardcast config print` shows all keys" : `did you mean "${meant}"?`;
			mistakes.push(`${path}:${line}: unknown key "${shortened(name)}"; ${fix}`);
			if (meant !== undefined) unread.add(keys.get(meant)!);
			continue;
		}
		if (seen.has(name)) mistakes.push(`${path}:${line}: "${name}" is there twice; leave one of them out`);
		seen.add(name);
		try {
			const raw: unknown = value?.toJS(document) ?? null;
			// "shards:" with nothing behind it is a setting that someone has not filled in: the default.
			if (raw !== null) found.set(key, { raw, source: { kind: "file", path, line, key: name } });
		} catch (error) {
			// An alias without its anchor, or so many that they would fill the memory.
			mistakes.push(`${path}:${line}: ${name}: ${withoutExcerpt((error as Error).message)}; write the value itself`);
			unread.add(key);
		}
	}
	return { found, mistakes, unread };
}

function unreadable(mistakes: readonly string[]): FileSettings {
	return { found: new Map(), mistakes, unread: "all" };
}

/** The parser's messages go on with what stands in the file, which may be a secret: `apiKey: *hunter2` is an alias to it. */
function withoutExcerpt(message: string): string {
	return message.split(/\n|: /)[0].replace(/ at line \d+.*$/, "");
}

function shortened(name: string): string {
	return name.replace(/\s+/g, " ").slice(0, shownKeyMax);
}
