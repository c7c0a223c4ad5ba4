import { closeSync, openSync, readSync } from "node:fs";
import { isMap, isScalar, LineCounter, parseDocument } from "yaml";
import { ConfigError } from "./config-error.ts";
import { nearest } from "./nearest.ts";
import { type ConfigKey, configKeys, fileKey } from "./options.ts";
import type { Found, FoundByKey } from "./source.ts";

/** Far above any sane config file; whoever names /dev/zero gets a line instead of a full memory. */
const fileBytesMax = 1_048_576;

/**
 * The settings of a YAML file: one flat table, keys in camelCase.
 * @param namedBy who named the file, for the message when it can't be read.
 * @throws ConfigError with one line per mistake: bad syntax, unknown key, a key twice.
 */
export function fromFile(path: string, namedBy: string): FoundByKey {
	const lines = new LineCounter();
	const document = parseDocument(read(path, namedBy), { lineCounter: lines });
	const at = (offset: number | undefined) => `${path}:${lines.linePos(offset ?? 0).line}`;

	if (document.errors.length > 0) {
		// The parser's message goes on with an excerpt of the file, which may hold a secret.
		throw new ConfigError(
			document.errors.map((error) => `${at(error.pos[0])}: ${error.message.split("\n")[0].replace(/ at line \d+.*$/, "")}`),
		);
	}
	const found = new Map<ConfigKey, Found>();
	if (document.contents === null) return found;
	if (!isMap(document.contents))
		throw new ConfigError([`${at(document.contents.range?.[0])}: not a table of settings; write lines such as "shards: 3"`]);

	const keys = new Map(configKeys.map((key) => [fileKey(key), key]));
	const mistakes: string[] = [];
	for (const { key: node, value } of document.contents.items) {
		const name = isScalar(node) ? String(node.value) : String(node);
		const place = at(isScalar(node) ? node.range?.[0] : undefined);
		const key = keys.get(name);
		if (key === undefined) {
			const meant = nearest(name, [...keys.keys()]);
			mistakes.push(
				`${place}: unknown key "${name}"; ${meant === undefined ? "`shardcast config print` shows all keys" : `did you mean "${meant}"?`}`,
			);
			continue;
		}
		const raw = (value as { toJS(document: unknown): unknown } | null)?.toJS(document) ?? null;
		// "shards:" with nothing behind it is a setting that someone has not filled in: the default.
		if (raw === null) continue;
		found.set(key, { raw, source: { kind: "file", path, line: Number(place.slice(path.length + 1)), key: name } });
	}
	if (mistakes.length > 0) throw new ConfigError(mistakes);
	return found;
}

function read(path: string, namedBy: string): string {
	try {
		const content = readBounded(path);
		if (content === null) throw new ConfigError([`${namedBy}: ${path} is longer than 1 MiB; name a config file`]);
		return content;
	} catch (error) {
		if (error instanceof ConfigError) throw error;
		const code = (error as NodeJS.ErrnoException).code;
		const why = code === "ENOENT" ? "does not exist" : code === "EACCES" ? "may not be read" : `can't be read (${code})`;
		throw new ConfigError([`${namedBy}: the config file ${path} ${why}; name another or leave it out`]);
	}
}

/** Reads pipes as well, `--config <(…)`; null = longer than any config file. */
function readBounded(path: string): string | null {
	const buffer = Buffer.alloc(fileBytesMax + 1);
	const file = openSync(path, "r");
	try {
		let length = 0;
		for (;;) {
			const read = readSync(file, buffer, length, buffer.length - length, null);
			length += read;
			if (length > fileBytesMax) return null;
			if (read === 0) return buffer.toString("utf8", 0, length);
		}
	} finally {
		closeSync(file);
	}
}
