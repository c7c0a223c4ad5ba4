import { connectToParent, metricsQuestion, PartAnswers } from "@shardcast/control";
import { dieWithParent, nativeSupport } from "@shardcast/native";
import { surviveClosedOutput } from "@shardcast/process";
import { ClusterDirectory, Scoreboard } from "@shardcast/scoreboard";
import { createLog, type Log, ProcessMetrics } from "@shardcast/telemetry";
import { Balancer } from "./balancer.ts";

process.title = "shardcast balancer";
surviveClosedOutput();
if (nativeSupport().available) dieWithParent();

const metrics = new ProcessMetrics("balancer");
const parts = new PartAnswers();
parts.add(metricsQuestion, () => metrics.values());
let balancer: Balancer | null = null;
let log: Log | null = null;

const control = connectToParent({
	async start({ cluster, config, mode, handoffDescriptors }) {
		const directory = ClusterDirectory.open(cluster);
		const collectMetrics = () => control.ask(metricsQuestion, null);
		log = createLog({ name: "balancer", level: config.logLevel, format: config.logFormat });
		const board = Scoreboard.open(directory.boardPath);
		balancer = new Balancer({ board, directory, mode, handoffDescriptors, config, log, collectMetrics });
		await balancer.start();
		return { port: balancer.port };
	},
	reload(config) {
		if (log !== null) log.level = config.logLevel;
		balancer?.reload(config);
	},
	async drain(deadlineMs) {
		const cutOff = (await balancer?.drain(deadlineMs)) ?? 0;
		await balancer?.stop();
		return { cutOff };
	},
	parts,
});
