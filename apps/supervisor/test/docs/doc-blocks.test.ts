import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { brokenLinks, missingLine, parseDocPage, readDocPages, root } from "../support/doc-blocks.ts";

const page = (...lines: string[]) => parseDocPage("page.md", lines.join("\n"));

describe("blocks of the documentation", () => {
	it("are read with their markers and options", () => {
		const { blocks, clusterFlags, mistakes } = page(
			"<!-- cluster: --shards 1 --debug -->",
			"```sh test exit=2 stays",
			"false",
			"```",
			'```yaml no-test reason="is Kubernetes"',
			"a: 1",
			"```",
		);
		expect(mistakes).toEqual([]);
		expect(clusterFlags).toEqual(["--shards", "1", "--debug"]);
		expect(blocks.map(({ line, language, marker, options, code }) => [line, language, marker, Object.fromEntries(options), code])).toEqual([
			[2, "sh", "test", { exit: "2", stays: "" }, "false"],
			[5, "yaml", "no-test", { reason: "is Kubernetes" }, "a: 1"],
		]);
	});

	it("need a marker, and a reason not to be tested", () => {
		expect(page("```sh", "ls", "```").mistakes).toEqual([expect.stringMatching(/^page\.md:1: sh needs test or check or no-test/)]);
		expect(page("```sh no-test", "ls", "```").mistakes).toEqual(['page.md:1: no-test needs reason="…"']);
		expect(page("```", "ls", "```").mistakes).toHaveLength(1);
		expect(page("```ruby test", "ls", "```").mistakes).toHaveLength(1);
		expect(page("```sh test", "ls").mistakes).toEqual(["page.md: a fence is not closed"]);
		expect(page("```text", "anything", "```").mistakes).toEqual([]);
	});

	it("output is compared line by line, in order, with … for anything", () => {
		expect(missingLine("a … c\nlast", "first\na b c\nbetween\nlast one")).toBeNull();
		expect(missingLine("last\na", "a\nlast")).toBe("a");
		expect(missingLine("a.c", "abc")).toBe("a.c");
		expect(missingLine("a … c", "a\nc")).toBe("a … c");
	});

	it("links name a file that exists, and a heading or anchor on it", () => {
		const text = [
			"# It's `x`, (1) Über",
			"```sh",
			"# no heading",
			"```",
			'| <a id="row"></a>`Row` |',
			"",
			"[a](#its-x-1-über) [b](page.md#row)",
		];
		expect([...page(...text).anchors]).toEqual(["its-x-1-über", "row"]);
		expect(brokenLinks([page(...text)])).toEqual([]);
		expect(
			brokenLinks([page("[a](#none) [b](README.md#start) [c](none.md) [d](docs/how-to/operations.md#none) [e](https://a.b/c)")]),
		).toEqual(["page.md: #none", "page.md: none.md", "page.md: docs/how-to/operations.md#none"]);
	});

	it("no page of the project has a broken link", () => {
		const rootPages = readdirSync(root).filter((name) => name.endsWith(".md"));
		const pages = readDocPages(...rootPages);
		expect(pages.length).toBeGreaterThan(10);
		expect(brokenLinks(pages)).toEqual([]);
	});
});

it("ARCHITECTURE.md takes ten minutes to read: 2,500 words at most", () => {
	const words = readFileSync(join(root, "ARCHITECTURE.md"), "utf8").split(/\s+/).length;
	expect(words, "words; move details to docs/explanation").toBeLessThanOrEqual(2500);
});

it("the page of commands says for each what it is for", () => {
	const [overview, ...rest] = readFileSync(join(root, "docs/reference/commands.md"), "utf8").split("\n## ");
	const commands = rest
		.at(-1)!
		.match(/^### .+$/gm)!
		.map((heading) => heading.slice(4));
	expect(commands).toContain("drain");
	expect(commands.filter((name) => !overview!.includes(`[\`${name}\`](#${name.replace(" ", "-")})`))).toEqual([]);
});

it("the index names every page", () => {
	const index = readFileSync(join(root, "docs/README.md"), "utf8");
	const pages = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" }).filter(
		(name) => name.endsWith(".md") && name !== "README.md",
	);
	expect(pages.length).toBeGreaterThan(20);
	expect(
		pages.filter((name) => !index.includes(`](${name})`)),
		"pages that docs/README.md does not link to",
	).toEqual([]);
});

it("each threat of the security page names a test that exists, by its file and the beginning of its title", () => {
	const text = readFileSync(join(root, "docs/how-to/security.md"), "utf8");
	const table = /## Threats\n([\s\S]*?)\n## /.exec(text)![1]!;
	const rows = table.split("\n").filter((line) => line.startsWith("| ") && !/^\| (---|somebody)/.test(line));
	const tests = new Map<string, string>();
	for (const folder of ["apps", "deploy", "packages"])
		for (const path of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }))
			if (/(^|\/)test\/.*\.test\.ts$/.test(path) && !path.includes("node_modules"))
				tests.set(path.replace(/^.*\//, ""), readFileSync(join(root, folder, path), "utf8"));
	const unproved = rows.filter((row) => {
		const [, file, title] = /`([\w.-]+)` › (.+) \|$/.exec(row) ?? [];
		return title === undefined || !(tests.get(file!) ?? "").includes(title);
	});
	expect(rows.length).toBeGreaterThan(15);
	expect(unproved, "rows whose test does not exist").toEqual([]);
});
