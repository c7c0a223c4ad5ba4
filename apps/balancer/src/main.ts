import { ClusterDirectory, Scoreboard } from "@shardcast/bus";
import { dieWithParent, nativeSupport } from "@shardcast/native";
import { askForMetrics, connectToParent, createLog, type Log, ProcessMetrics, surviveClosedOutput } from "@shardcast/service";
import { Balancer } from "./balancer.ts";

process.title = "shardcast balancer";
surviveClosedOutput();
if (nativeSupport().available) dieWithParent();

const metrics = new ProcessMetrics("balancer");
let balancer: Balancer | null = null;
let log: Log | null = null;

const control = connectToParent({
	async start({ cluster, config, mode, handoffDescriptors }) {
		const directory = ClusterDirectory.open(cluster);
		const collectMetrics = () => askForMetrics(control);
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
	request: () => metrics.values(),
});
