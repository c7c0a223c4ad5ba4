import { defineConfig } from "vitest/config";

const shared = { environment: "node" as const, globals: false };
const source = { resolve: { conditions: ["source"] }, ssr: { resolve: { conditions: ["source"] } } };
/** Tests with real processes on a busy CI machine may miss a deadline; a second miss in a row is a failure. At a desk, the first one is. */
const retry = process.env.CI === "true" ? 1 : 0;
const process_ = "**/*.process.test.ts";
const cluster = "**/*.cluster.test.ts";
/** Those that read from Kafka wait most of their time for brokers that are away; each file has its own cluster, on free ports. */
const kafka = "apps/shard/test/*.cluster.test.ts";

export default defineConfig({
	test: {
		reporters: ["default", "./packages/testkit/src/closing-line-reporter.ts"],
		projects: [
			{
				...source,
				test: {
					...shared,
					name: "unit",
					include: ["**/test/**/*.test.ts"],
					exclude: ["**/node_modules/**", "**/dist/**", process_, cluster],
					testTimeout: 10_000,
					// Starting a process and loading the sources again for each file took three times as long as the tests. So a file shares its
					// process with those before it: what it changes (timers, mocks, the environment), it puts back.
					isolate: false,
					maxWorkers: "100%",
					restoreMocks: true,
				},
			},
			{
				...source,
				test: {
					...shared,
					name: "process",
					include: [`**/test/${process_}`],
					exclude: ["**/node_modules/**"],
					testTimeout: 60_000,
					hookTimeout: 60_000,
					fileParallelism: false,
					retry,
					sequence: { groupOrder: 1 },
				},
			},
			{
				...source,
				test: {
					...shared,
					name: "cluster",
					include: [`**/test/${cluster}`],
					exclude: ["**/node_modules/**", kafka],
					testTimeout: 120_000,
					hookTimeout: 120_000,
					fileParallelism: false,
					retry,
					sequence: { groupOrder: 2 },
				},
			},
			{
				...source,
				test: {
					...shared,
					name: "kafka",
					include: [kafka],
					testTimeout: 120_000,
					hookTimeout: 120_000,
					maxWorkers: 2,
					retry,
					sequence: { groupOrder: 3 },
				},
			},
		],
	},
});
