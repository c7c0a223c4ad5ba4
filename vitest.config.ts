import { existsSync } from "node:fs";
import { relative } from "node:path";
import { defineConfig, type Plugin } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

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
/**
 * Tests with processes load packages as they were built, as the processes do: Node loads these itself, which takes an eighth less CPU in all than to transform
 * their sources. What a test imports by a relative path is a source, and not the same module as the built one.
 */
const built = { plugins: [again] };
const builtFiles = [/\/(?:packages\/[\w-]+|apps\/[\w-]+|loadtest)\/dist\/.*\.js$/];
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
/**
 * Files of `processes` that take longest, the longest first: they start first, so that no worker is left with one of them when the others
 * have ended. The rest goes by what the cache of an earlier run says, or by size.
 */
const startFirst = [
	"loadtest/test/bench-gateway.process.test.ts",
	"loadtest/test/load-test.process.test.ts",
	"packages/kafka/test/cluster/ingest-nodes-trouble.cluster.test.ts",
	"apps/supervisor/test/docs/package.cluster.test.ts",
	"packages/kafka/test/cluster/ingest-changes.cluster.test.ts",
	"apps/supervisor/test/docs/docs.cluster.test.ts",
	"apps/supervisor/test/gateway/backend-libraries.process.test.ts",
	"apps/supervisor/test/gateway/gateway-page.cluster.test.ts",
	"packages/kafka/test/cluster/ingest-edges.cluster.test.ts",
	"loadtest/test/load-test.cluster.test.ts",
	"packages/kafka/test/cluster/ingest-trouble.cluster.test.ts",
	"apps/supervisor/test/supervisor.process.test.ts",
	"apps/supervisor/test/cluster/stop.cluster.test.ts",
	"packages/kafka/test/cluster/ingest-publish.cluster.test.ts",
	"apps/supervisor/test/cluster/faults.cluster.test.ts",
	"apps/supervisor/test/cli.process.test.ts",
	"packages/kafka/test/cluster/ingest-messages.cluster.test.ts",
	"apps/supervisor/test/docs/troubleshooting.cluster.test.ts",
	"packages/redis-broker/test/three-nodes.cluster.test.ts",
	"packages/kafka/test/cluster/ingest-exactly-once.cluster.test.ts",
	"packages/kafka/test/cluster/ingest-nodes.cluster.test.ts",
	"packages/postgres/test/outbox.cluster.test.ts",
	"packages/kafka/test/cluster/ingest-history.cluster.test.ts",
	"apps/supervisor/test/cluster/nodes.cluster.test.ts",
	"apps/supervisor/test/docs/docs-examples.cluster.test.ts",
	"packages/nodes/test/failover.cluster.test.ts",
	"packages/redis-broker/test/redis-cluster-nodes.cluster.test.ts",
	"apps/balancer/test/leak.process.test.ts",
	"apps/balancer/test/data-path/handoff.process.test.ts",
	"packages/postgres/test/postgres-troubles.cluster.test.ts",
	"apps/balancer/test/data-path/proxy.process.test.ts",
	"packages/kafka/test/cluster/library-kafka.cluster.test.ts",
	"apps/supervisor/test/cluster/console.cluster.test.ts",
	"deploy/test/local-cluster.cluster.test.ts",
	"apps/supervisor/test/single.process.test.ts",
	"deploy/test/load-balancers.process.test.ts",
	"apps/supervisor/test/cluster/secrets.cluster.test.ts",
	"packages/redis-broker/test/redis-nodes.cluster.test.ts",
];
const gone = startFirst.filter((file) => !existsSync(new URL(file, import.meta.url)));
if (gone.length > 0)
	throw new Error(`vitest.config.ts: startFirst names ${gone.join(", ")}, which is not there; take it out or correct it`);

class LongestFirst extends BaseSequencer {
	override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
		const group = ({ project }: TestSpecification) => project.config.sequence.groupOrder;
		const place = ({ moduleId }: TestSpecification) => {
			const index = startFirst.indexOf(relative(import.meta.dirname, moduleId));
			return index < 0 ? startFirst.length : index;
		};
		return (await super.sort(files)).sort((one, other) => group(one) - group(other) || place(one) - place(other));
	}
}
const withProcesses = {
	...shared,
	testTimeout: 120_000 * stress * patience,
	hookTimeout: 120_000 * patience,
	server: { deps: { external: builtFiles } },
};
const staleBuild = "./packages/testkit/src/processes/stale-build.ts";

export default defineConfig({
	test: {
		reporters: ["default", "./packages/testkit/src/closing-line-reporter.ts"],
		// Sources are transformed once, not in each run. An entry is found by the hash of its source, this file and the lock file, so it is never
		// out of date. `npx vitest --clearCache` deletes all.
		experimental: { fsModuleCache: true, fsModuleCachePath: "node_modules/.cache/vitest" },
		// `npm test` and `npm run test:unit` leave these out; see CONTRIBUTING.md.
		tags: [{ name: "long", description: "Takes long, and a shorter test of the same area has no tag." }],
		sequence: { sequencer: LongestFirst },
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
				...built,
				// Processes, clusters and brokers, each file with its own on free ports. Many wait a lot: the Kafka files use a third of a core
				// each. So three files run side by side on two cores. With four, all processes only wait longer for a CPU.
				test: {
					...withProcesses,
					name: "processes",
					// As in `unit`: to load the sources again for each file took a fifth of the CPU time of all.
					isolate: false,
					include: processes,
					exclude: [...neverTests, ...serial],
					globalSetup: [staleBuild, "./packages/testkit/src/kafka/shared-broker.ts"],
					maxWorkers: 3,
					sequence: { groupOrder: 1 },
				},
			},
			{
				...built,
				test: {
					...withProcesses,
					name: "serial",
					include: serial,
					fileParallelism: false,
					globalSetup: staleBuild,
					sequence: { groupOrder: 2 },
				},
			},
		],
	},
});
