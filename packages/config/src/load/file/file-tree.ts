import type { Document, Node, ParsedNode, YAMLMap } from "yaml";
import { keysIn, type Shape } from "../../options/shape.ts";
import { linesMax } from "../config-error.ts";
import { KeyHints } from "../key-hints.ts";
import type { FoundValue, ValuePath } from "../layer.ts";
import { unknownKey } from "../unknown-key.ts";
import { type FileValues, withoutExcerpt } from "./file.ts";
import { yaml } from "./yaml.ts";

interface FileTreeParts<K extends string> {
	readonly document: Document.Parsed;
	/** Of the file, for messages. */
	readonly path: string;
	readonly shape: Shape<K>;
	readonly words: ReadonlyMap<string, K>;
	/** Paths that only Centrifugo knows; they give a warning and are otherwise ignored. */
	readonly foreign: ReadonlySet<string>;
	readonly lineOf: (offset: number | undefined) => number;
}

type Pair = { readonly key: ParsedNode | null; readonly value: ParsedNode | null };

const shownKeyMax = 80;

/** Walks a parsed file along the shape that it should have. One per file that is read. */
export class FileTree<K extends string> {
	readonly #parts: FileTreeParts<K>;
	readonly #words: KeyHints<K>;
	readonly #found = new Map<K, FoundValue>();
	readonly #mistakes: string[] = [];
	readonly #warnings: string[] = [];
	readonly #unread = new Set<K>();

	constructor(parts: FileTreeParts<K>) {
		this.#parts = parts;
		this.#words = new KeyHints(parts.shape, parts.words);
	}

	read(): FileValues<K> {
		const { document, path, shape, lineOf } = this.#parts;
		const { contents } = document;
		if (contents !== null && !yaml().isMap(contents)) {
			const mistake = `${path}:${lineOf(contents.range?.[0])}: not a table of sections; write lines such as "log:" and, indented, "level: debug"`;
			return { found: this.#found, mistakes: [mistake], warnings: [], unread: "all" };
		}
		if (contents !== null) this.#readTable(contents, shape, "");
		return { found: this.#found, mistakes: this.#mistakes, warnings: this.#warnings, unread: this.#unread };
	}

	/** @param prefix of the keys' paths: "" or such as "kafka.". */
	#readTable(table: YAMLMap, shape: Shape<K>, prefix: string): void {
		const seen = new Set<string>();
		for (const { key: node, value } of table.items as unknown as Pair[]) {
			const name = nameOf(node);
			const line = this.#lineOf(node);
			const path = `${prefix}${name}`;
			const entry = shape.get(name);
			if (entry === undefined && this.#parts.foreign.has(path))
				this.#warnings.push(unknownKey(`${this.#parts.path}:${line}: ${path}`, path));
			else if (entry === undefined) this.#unknown(name, line, shape, prefix);
			else if (seen.has(name)) this.#twice(path, line);
			else if (typeof entry === "string") this.#readOption(entry, value, line, path);
			else this.#readSection(entry, value, line, path);
			seen.add(name);
		}
	}

	/** A section without anything in it counts as not there. */
	#readSection(shape: Shape<K>, value: ParsedNode | null, line: number, path: string): void {
		const { isMap, isScalar } = yaml();
		const table = this.#target(value);
		if (table === null || (isScalar(table) && table.value === null)) return;
		if (isMap(table)) {
			this.#readTable(table, shape, `${path}.`);
			return;
		}
		const [example] = shape.keys();
		this.#add(line, `${path}: is not a table of options; write them below it, indented, such as "${example}: …"`);
		for (const key of keysIn(shape)) this.#unread.add(key);
	}

	#readOption(key: K, value: ParsedNode | null, line: number, path: string): void {
		const { document } = this.#parts;
		try {
			const raw: unknown = value?.toJS(document) ?? null;
			// "shards:" with nothing behind it is an option that nobody has filled in: the default.
			if (raw === null) return;
			if (typeof raw === "object") this.#twiceWithin(value!);
			const other = this.#found.get(key)?.layer;
			if (other?.kind === "file") {
				this.#add(line, `"${path}" and "${other.key}" are the same option; remove one of them`);
				return;
			}
			const lineAt = (way: ValuePath) => this.#lineAt(value, way) ?? line;
			this.#found.set(key, { raw, layer: { kind: "file", path: this.#parts.path, line, key: path, lineAt } });
		} catch (error) {
			// An alias without its anchor, or so many aliases that they would use up memory.
			this.#add(line, `${path}: ${withoutExcerpt((error as Error).message)}; write the value itself`);
			this.#unread.add(key);
		}
	}

	#unknown(name: string, line: number, shape: Shape<K>, prefix: string): void {
		// Finding a suggestion takes time; if there are many mistakes, the rest is only counted.
		const meant = this.#mistakes.length < linesMax ? this.#words.meantBy(name, shape, prefix) : null;
		this.#add(line, `unknown key "${shortened(`${prefix}${name}`)}"; ${meant?.fix ?? "`shardcast config print` shows all keys"}`);
		for (const key of meant?.keys ?? []) this.#unread.add(key);
	}

	#twice(path: string, line: number): void {
		this.#add(line, `"${shortened(path)}" appears twice; remove one of them`);
	}

	/** Of two keys with the same name, only the last would count. */
	#twiceWithin(value: Node): void {
		yaml().visit(value, {
			Map: (_, { items }) => {
				const seen = new Set<string>();
				for (const { key } of items as unknown as Pair[]) {
					const name = nameOf(key);
					if (seen.has(name)) this.#twice(name, this.#lineOf(key));
					seen.add(name);
				}
			},
		});
	}

	/** The line of what a path leads to within a value, or of the last thing on the way that is there. */
	#lineAt(value: ParsedNode | null, way: ValuePath): number | null {
		const { isMap, isSeq } = yaml();
		let node: Node | null = value;
		let line: number | null = null;
		for (const step of way) {
			const within = this.#target(node);
			if (isSeq(within) && typeof step === "number") {
				node = (within.items[step] as Node | undefined) ?? null;
				line = node === null ? line : this.#lineOf(node);
			} else if (isMap(within)) {
				const pair = (within.items as unknown as Pair[]).find(({ key }) => nameOf(key) === step);
				if (pair === undefined) return line;
				node = pair.value;
				line = this.#lineOf(pair.key);
			}
		}
		return line;
	}

	/** What an alias stands for; an alias without its anchor stays what it is. */
	#target(node: Node | null): Node | null {
		return yaml().isAlias(node) ? (node.resolve(this.#parts.document) ?? node) : node;
	}

	#lineOf(node: Node | null): number {
		return this.#parts.lineOf(node?.range?.[0]);
	}

	#add(line: number, text: string): void {
		this.#mistakes.push(`${this.#parts.path}:${line}: ${text}`);
	}
}

function nameOf(node: Node | null): string {
	return yaml().isScalar(node) ? String(node.value) : String(node);
}

function shortened(name: string): string {
	return name.replace(/\s+/g, " ").slice(0, shownKeyMax);
}
