import { defineConfig, type Plugin } from "vitest/config";

/**
 * `import("./x.ts?again=1")` loads the file once more, and with it what it imports by relative paths: a package whose state is new. Instead of
 * `vi.resetModules`, which makes every later test file of the process load all sources again.
 */
const again: Plugin = {
	name: "again",
	enforce: "pre",
	async resolveId(path, importer, options) {
		const query = /\?again=\w+$/.exec(importer ?? "")?.[0];
		if (query === undefined || !path.startsWith(".")) return null;
		const resolved = await this.resolve(path, importer, { ...options, skipSelf: true });
		return resolved && `${resolved.id}${query}`;
	},
};
const source = { plugins: [again], resolve: { conditions: ["source"] }, ssr: { resolve: { conditions: ["source"] } } };
/** As in packages/testkit/src/wait.ts: CI machines may be slow, and a limit only ends what fails. */
const patience = process.env.CI === "true" ? 4 : 2;
const shared = {
	environment: "node" as const,
	globals: false,
	// Chai's proxies only find misspelt matchers, which `npm run check` does as well, and take a third of the time of each expectation.
	chaiConfig: { useProxy: false } as object,
	// The default of a second is short for a busy machine.
	expect: { poll: { timeout: 8_000 * patience, interval: 10 } },
};
/** See packages/testkit/src/stress.ts. */
const stress = Number(process.env.SHARDCAST_STRESS ?? 1);
const processes = ["**/test/**/*.process.test.ts", "**/test/**/*.cluster.test.ts"];
const neverTests = ["**/node_modules/**", "**/dist/**"];
/** Tests that measure how long something takes, or how much CPU it needs: one after the other, while nothing else runs. */
const serial = [
	"packages/server/test/lifecycle/drain.process.test.ts",
	"packages/kafka/test/positions/ingest-positions.process.test.ts",
	"apps/supervisor/test/serial/*.test.ts",
];
const withProcesses = { ...shared, testTimeout: 120_000 * stress * patience, hookTimeout: 120_000 * patience };

export default defineConfig({
	test: {
		reporters: ["default", "./packages/testkit/src/closing-line-reporter.ts"],
		// Sources are transformed once, not in each run. An entry is found by the hash of its source, this file and the lock file, so it is never
		// out of date. `npx vitest --clearCache` deletes all.
		experimental: { fsModuleCache: true, fsModuleCachePath: "node_modules/.cache/vitest" },
		// `npm run test:unit` leaves these out.
		tags: [{ name: "long", description: "Takes more than a quarter of a second." }],
		projects: [
			{
				...source,
				test: {
					...shared,
					name: "unit",
					include: ["**/test/**/*.test.ts"],
					exclude: [...neverTests, ...processes],
					testTimeout: 10_000 * stress * patience,
					// Starting a process and loading the sources again for each file took three times as long as the tests. So a file shares its
					// process with those before it: what it changes (timers, mocks, the environment), it puts back.
					isolate: false,
					maxWorkers: "100%",
					restoreMocks: true,
				},
			},
			{
				...source,
				// Processes, clusters and brokers, each file with its own on free ports. They mostly wait: the Kafka files use a third of a core
				// each. So four files run side by side, on two cores as well.
				test: {
					...withProcesses,
					name: "processes",
					// As in `unit`: to load the sources again for each file took a fifth of the CPU time of all.
					isolate: false,
					include: processes,
					exclude: [...neverTests, ...serial],
					globalSetup: "./packages/testkit/src/kafka/shared-broker.ts",
					maxWorkers: 4,
					sequence: { groupOrder: 1 },
				},
			},
			{
				...source,
				test: { ...withProcesses, name: "serial", include: serial, fileParallelism: false, sequence: { groupOrder: 2 } },
			},
		],
	},
});
