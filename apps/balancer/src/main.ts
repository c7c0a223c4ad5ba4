import { ClusterDirectory, Scoreboard } from "@shardcast/bus";
import { dieWithParent, nativeSupport } from "@shardcast/native";
import { askForMetrics, connectToParent, ProcessMetrics } from "@shardcast/service";
import { Balancer } from "./balancer.ts";

process.title = "shardcast balancer";
if (nativeSupport().available) dieWithParent();

const metrics = new ProcessMetrics("balancer");
let balancer: Balancer | null = null;

const control = connectToParent({
	async start({ cluster, config, mode }) {
		const directory = ClusterDirectory.open(cluster);
		const collectMetrics = () => askForMetrics(control);
		balancer = new Balancer({ board: Scoreboard.open(directory.boardPath), directory, mode, config, collectMetrics });
		await balancer.start();
		return { port: balancer.port };
	},
	reload: (config) => balancer?.reload(config),
	async drain(deadlineMs) {
		const cutOff = (await balancer?.drain(deadlineMs)) ?? 0;
		await balancer?.stop();
		return { cutOff };
	},
	request: () => metrics.values(),
});
