// The second half of `npm run build`: writes the JavaScript of each package into its dist, in a few files instead of one for each source.
// Node loads a module in about a millisecond of CPU, so that a shard, which has 450, starts in half the time. `tsc` has checked the sources
// and written the declarations. Libraries stay where npm has put them.
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { rolldown } from "rolldown";

/** What each package is entered by. The file in dist has the name on the left, and is flat: paths from there to a package's root are short. */
const entries = {
	"apps/balancer": { main: "main.ts", handoff: "handoff/handoff.ts", "handoff-path": "handoff/handoff-path.ts" },
	"apps/gateway": { main: "main.ts" },
	"apps/shard": { main: "main.ts" },
	"apps/supervisor": { main: "main.ts", supervisor: "supervisor.ts", "cluster-memory": "cluster-memory.ts", signals: "signals.ts" },
	"packages/edge": { index: "index.ts", nodes: "nodes/index.ts" },
	"packages/gateway": { index: "index.ts", cluster: "cluster/index.ts", member: "member/index.ts" },
	"packages/kafka": { index: "index.ts", "ingest-worker": "worker/ingest-worker.ts", "position-table": "positions/position-table.ts" },
	"packages/process": { index: "index.ts", "early-signals": "early-signals.ts" },
	"packages/server": {
		index: "index.ts",
		library: "library/index.ts",
		listening: "listening/index.ts",
		tokens: "sessions/centrifuge/tokens/index.ts",
		webhooks: "webhooks/webhook-backend.ts",
	},
};
/**
 * The load test and the test kit start many of their files as programs, which tsc writes one by one. Only what each run of a load test loads,
 * four times with its threads, is written once more, as a few files.
 */
const programs = {
	"packages/testkit": { index: "index.ts" },
	loadtest: { main: "main.ts", "thread/main": "thread/main.ts", "thread/process-main": "thread/process-main.ts" },
};

/**
 * `import … from "node:http"` reads each export of it, and Node loads its library undici to give that of WebSocket: 60 ms of CPU for
 * each process, more than all else that Node does at its start. `require` reads none.
 */
const httpWithoutUndici = {
	name: "http-without-undici",
	resolveId: (id) => (id === "node:http" ? { id: "\0http", moduleSideEffects: false } : null),
	load: (id) =>
		id === "\0http"
			? `import { createRequire } from "node:module";
const http = createRequire(import.meta.url)("node:http");
export const { ${exportsOfHttp.join(", ")} } = http;`
			: null,
};
const exportsOfHttp = ["Agent", "METHODS", "STATUS_CODES", "createServer", "request", "validateHeaderValue"];

const root = import.meta.dirname;

/**
 * What one package imports of another is named by its file, `../../wire/dist/index.js` instead of `@shardcast/wire`: Node would look up the name for
 * each file that imports it, a tenth of the CPU of a shard's start. The packages lie beside one another here and in `node_modules/@shardcast` of the
 * npm package, and Node knows a file by where it really is, so a module stays one, by whatever name. What is in apps lies elsewhere here.
 */
const packagesByFile = {
	name: "packages-by-file",
	resolveId(id, importer) {
		const [, name, entry = ""] = /^@shardcast\/([^/]+)(\/.+)?$/.exec(id) ?? [];
		if (name === undefined) return null;
		if (!importer?.startsWith(join(root, "packages/"))) return { id, external: true };
		const home = join(root, "packages", name);
		if (!existsSync(home)) return { id, external: true };
		const { exports } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
		return { id: join(home, exports[`.${entry}`].default), external: "relative" };
	},
};
const packages = ["apps", "packages"]
	.flatMap((folder) => readdirSync(join(root, folder)).map((name) => `${folder}/${name}`))
	.filter((name) => !(name in programs));

/** Writes the bundles of one package's entries. @returns the names of the files. */
async function write(name, sources, chunkFileNames) {
	const home = join(root, name);
	const build = await rolldown({
		input: Object.fromEntries(Object.entries(sources).map(([entry, source]) => [entry, join(home, "src", source)])),
		external: (id) => !/^[./\0]/.test(id) && id !== "node:http" && !id.startsWith("@shardcast/"),
		plugins: [httpWithoutUndici, packagesByFile],
		platform: "node",
	});
	const { output } = await build.write({ dir: join(home, "dist"), format: "esm", sourcemap: true, keepNames: true, chunkFileNames });
	await build.close();
	return output.map(({ fileName }) => fileName);
}

/** Bundles one package, and removes what an earlier build has left in its dist. */
async function bundle(name) {
	const dist = join(root, name, "dist");
	const written = new Set(await write(name, entries[name] ?? { index: "index.ts" }, "[name].js"));
	for (const file of readdirSync(dist, { recursive: true })) {
		if (/\.js(\.map)?$/.test(file) && !written.has(file)) rmSync(join(dist, file));
	}
}

// What files share has a name that none of tsc's has.
const bundlePrograms = ([name, sources]) => write(name, sources, "[name].chunk.js");

await Promise.all([...packages.map(bundle), ...Object.entries(programs).map(bundlePrograms)]);
