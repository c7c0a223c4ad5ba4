import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { staleBuilds } from "../src/processes/stale-build.ts";

let root: string;
afterEach(() => rmSync(root, { recursive: true }));

function write(path: string, atSeconds: number): void {
	mkdirSync(dirname(join(root, path)), { recursive: true });
	writeFileSync(join(root, path), "");
	utimesSync(join(root, path), atSeconds, atSeconds);
}

it("finds packages whose sources are newer than their build, in any folder, and those without one", () => {
	root = mkdtempSync(join(tmpdir(), "shardcast-test-"));
	for (const folder of ["packages/old", "packages/new", "apps/app", "loadtest"]) {
		write(`${folder}/src/index.ts`, 1000);
		write(`${folder}/src/deep/part.ts`, folder === "packages/new" ? 3000 : 1000);
		write(`${folder}/src/deep/readme.md`, 9000);
		write(`${folder}/dist/${folder.startsWith("packages") ? "index" : "main"}.js`, 2000);
	}
	write("apps/never/src/main.ts", 1000);
	write("packages/no-sources/package.json", 9000);
	expect(staleBuilds(root)).toEqual(["packages/new", "apps/never"]);
});
