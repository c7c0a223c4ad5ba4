import type { Tags } from "yaml";
import { centrifugoOnly } from "../../options/centrifugo.ts";
import { type ConfigKey, configKeys, optionOf, readableShape } from "../../options/options.ts";
import type { Shape } from "../../options/shape.ts";
import type { FoundValue } from "../layer.ts";
import { type FileToRead, readFileText } from "./file-text.ts";
import { FileTree } from "./file-tree.ts";
import { yaml } from "./yaml.ts";

/** What a config file says, and what is wrong with it. */
export interface FileValues<K extends string = ConfigKey> {
	readonly found: ReadonlyMap<K, FoundValue>;
	/** One line per mistake: bad syntax, unknown key, a key twice, no table where there should be one. */
	readonly mistakes: readonly string[];
	/** One line per key that only Centrifugo knows. */
	readonly warnings: readonly string[];
	/** The options that a mistake leaves open, or "all" when nothing of the file could be read. */
	readonly unread: ReadonlySet<K> | "all";
}

/** Other words that users may try for the options: their flags. */
const flags = new Map(configKeys.map((key) => [optionOf(key).flag.replaceAll("-", "_"), key]));

/** The options of a config file, in YAML or JSON. Never throws. */
export function fromFile(file: FileToRead): FileValues {
	const content = readFileText(file);
	return "problem" in content ? unreadable([content.problem]) : fromText(content.text, file.path, readableShape, flags, centrifugoOnly);
}

/**
 * The values in the text of a file. Never throws.
 * @param path for messages.
 * @param words see `flags`.
 * @param foreign paths of keys that are no mistake, only of no effect.
 */
export function fromText<K extends string>(
	text: string,
	path: string,
	shape: Shape<K>,
	words: ReadonlyMap<string, K> = new Map(),
	foreign: ReadonlySet<string> = new Set(),
): FileValues<K> {
	const { LineCounter, parseDocument } = yaml();
	const lines = new LineCounter();
	const lineOf = (offset: number | undefined) => lines.linePos(offset ?? 0).line;
	try {
		// The parser's own search for keys that are there twice takes time in proportion to the square of their number.
		const document = parseDocument(text, { lineCounter: lines, uniqueKeys: false, customTags: withoutNumbers });
		const mistakes = [...document.errors, ...document.warnings].map(
			({ pos, message }) => `${path}:${lineOf(pos[0])}: ${withoutExcerpt(message)}`,
		);
		return mistakes.length > 0 ? unreadable(mistakes) : new FileTree({ document, path, shape, words, foreign, lineOf }).read();
	} catch (error) {
		// The parser is not known to do this.
		return unreadable([`${path}: can't be read as YAML: ${withoutExcerpt((error as Error).message)}; correct it or name another`]);
	}
}

/** Numbers stay as they are written, as they do in flags: a key "0123456789" keeps its zero. */
function withoutNumbers(tags: Tags): Tags {
	return tags.filter((tag) => typeof tag === "string" || !/:(int|float)$/.test(tag.tag));
}

function unreadable<K extends string>(mistakes: readonly string[]): FileValues<K> {
	return { found: new Map(), mistakes, warnings: [], unread: "all" };
}

/** The parser's messages go on with what stands in the file, which may be a secret: `key: *hunter2` is an alias to it. */
export function withoutExcerpt(message: string): string {
	return message.split(/\n|: /)[0].replace(/ at line \d+.*$/, "");
}
