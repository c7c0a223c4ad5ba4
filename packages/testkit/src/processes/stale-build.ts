import { existsSync, readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";

const repository = join(import.meta.dirname, "../../../..");

/** Folders of a package whose source was changed after its last build, or that was never built. Costs some milliseconds. */
export function staleBuilds(root: string): string[] {
	const packages = ["packages", "apps"].flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(root, folder, name)));
	return [...packages, join(root, "loadtest")]
		.filter((folder) => existsSync(join(folder, "src")) && newest(join(folder, "src")) > builtMs(folder))
		.map((folder) => relative(root, folder));
}

function newest(folder: string): number {
	const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
	return Math.max(0, ...files.map((file) => statSync(join(folder, file)).mtimeMs));
}

/** The bundles are written by each build, whether or not they change. */
function builtMs(folder: string): number {
	const bundles = ["index.js", "main.js"].map((name) => join(folder, "dist", name)).filter((file) => existsSync(file));
	return Math.max(0, ...bundles.map((file) => statSync(file).mtimeMs));
}

/** Vitest's global set-up for tests that load packages as they were built: says so if they would test something old. */
export default function warnOfStaleBuilds(): void {
	const stale = staleBuilds(repository);
	if (stale.length === 0) return;
	process.stderr.write(`\n!!! Changed since the last build: ${stale.join(", ")}. These tests use what was built: npm run build !!!\n\n`);
}
