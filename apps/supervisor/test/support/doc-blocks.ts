import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

export const root = join(import.meta.dirname, "../../../..");

/**
 * Fenced blocks of the documentation. Each one in a language that can be run or checked says behind the language what a test
 * does with it, so that no command goes stale unseen:
 *
 *   ```sh test              runs against a fresh cluster; exit status 0, or `exit=2`; `stays`: still runs when it is ended
 *   ```sh check             a command line that starts a server: its options are checked
 *   ```yaml test            a config file: `config check`
 *   ```json test            is JSON
 *   ```js test              a module: runs; `stays` as above
 *   ```python test          a program: the same; it finds what is in examples/gateway, as does JavaScript on pages about gateways
 *   ```text output          what the block before it prints, line by line; … stands for anything
 *   ```… no-test reason="…" is not run, and why
 *
 * `<!-- cluster: --api-key 12345678 -->` in a document gives its cluster flags.
 */
export interface DocBlock {
	readonly file: string;
	readonly line: number;
	readonly language: string;
	readonly marker: string;
	readonly options: ReadonlyMap<string, string>;
	readonly code: string;
}

export interface DocPage {
	readonly file: string;
	readonly clusterFlags: readonly string[];
	readonly blocks: readonly DocBlock[];
	/** One line for each fence that breaks the rules above. */
	readonly mistakes: readonly string[];
	/** What the page links to, relative to its folder: `security.md#limits`, or `#limits` on the page itself. */
	readonly links: readonly string[];
	/** What links can point at within it: its headings, as GitHub names them, and `<a id="…">`. */
	readonly anchors: ReadonlySet<string>;
}

const markers: Readonly<Record<string, readonly string[]>> = {
	sh: ["test", "check"],
	yaml: ["test"],
	json: ["test"],
	js: ["test"],
	python: ["test"],
	text: ["output", ""],
};

/** Every page below docs/, and those of the root folder that are named. */
export function readDocPages(...rootPages: readonly string[]): DocPage[] {
	const docs = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".md"));
	return [...docs.sort().map((name) => join("docs", name)), ...rootPages].map((name) => readDocPage(join(root, name)));
}

function readDocPage(path: string): DocPage {
	return parseDocPage(relative(root, path), readFileSync(path, "utf8"));
}

export function parseDocPage(file: string, text: string): DocPage {
	const flags = /<!-- cluster: (.*?) -->/.exec(text)?.[1] ?? "";
	const blocks: DocBlock[] = [];
	const mistakes: string[] = [];
	let open: { line: number; info: string; code: string[] } | null = null;
	text.split("\n").forEach((content, index) => {
		const fence = /^\s*```(.*)$/.exec(content);
		if (fence === null) open?.code.push(content);
		else if (open === null) open = { line: index + 1, info: fence[1]!.trim(), code: [] };
		else {
			const { line, info, code } = open;
			open = null;
			const block = parseInfo(file, line, info, code.join("\n"));
			const mistake = mistakeOf(block);
			if (mistake === null) blocks.push(block);
			else mistakes.push(`${file}:${line}: ${mistake}`);
		}
	});
	if (open !== null) mistakes.push(`${file}: a fence is not closed`);
	const links = [...text.matchAll(/\]\((?!https?:)([^)\s]+)/g)].map(([, link]) => link!);
	return { file, clusterFlags: flags.split(/\s+/).filter((flag) => flag !== ""), blocks, mistakes, links, anchors: anchorsOf(text) };
}

function anchorsOf(text: string): Set<string> {
	const headings = [...text.replace(/^```.*?^```/gms, "").matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
		heading!
			.toLowerCase()
			.replace(/[^\p{L}\p{N} _-]/gu, "")
			.replaceAll(" ", "-"),
	);
	return new Set([...headings, ...[...text.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id!)]);
}

function parseInfo(file: string, line: number, info: string, code: string): DocBlock {
	const words = [...info.matchAll(/[^\s="]+(="[^"]*"|=\S+)?/g)].map(([word]) => word);
	const [language = "", marker = "", ...rest] = words;
	const options = new Map(
		rest.map((word) => {
			const at = word.indexOf("=");
			return at < 0 ? ([word, ""] as const) : ([word.slice(0, at), word.slice(at + 1).replace(/^"|"$/g, "")] as const);
		}),
	);
	return { file, line, language, marker, options, code };
}

function mistakeOf({ language, marker, options }: DocBlock): string | null {
	if (language === "") return "the fence has no language; write ```text for what is none";
	if (marker === "no-test") return (options.get("reason") ?? "") === "" ? 'no-test needs reason="…"' : null;
	const allowed = markers[language];
	if (allowed === undefined) return `${language} can't be tested; say no-test reason="…"`;
	return allowed.includes(marker) ? null : `${language} needs ${allowed.join(" or ")} or no-test reason="…", not "${marker}"`;
}

/** `file: link` for each link that leads nowhere: no such file, or on a Markdown page no such heading. */
export function brokenLinks(pages: readonly DocPage[]): string[] {
	const known = new Map(pages.map((page) => [page.file, page]));
	return pages.flatMap(({ file, links }) =>
		links
			.filter((link) => {
				const [path = "", anchor] = link.split("#");
				const target = path === "" ? file : join(file, "..", path);
				if (!known.has(target) && !existsSync(join(root, target))) return true;
				if (anchor === undefined || !target.endsWith(".md")) return false;
				return !(known.get(target) ?? readDocPage(join(root, target))).anchors.has(anchor);
			})
			.map((link) => `${file}: ${link}`),
	);
}

/** Whether each line of the expected text is, in this order, in the output; `…` stands for anything within a line. */
export function missingLine(expected: string, output: string): string | null {
	let from = 0;
	for (const line of expected.split("\n").filter((each) => each.trim() !== "")) {
		const pattern = new RegExp(
			line
				.trim()
				.split("…")
				.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+"))
				.join("[^\\n]*"),
		);
		const match = pattern.exec(output.slice(from));
		if (match === null) return line;
		from += match.index + match[0].length;
	}
	return null;
}
