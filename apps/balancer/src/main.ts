import {
	clusterNodesQuestion,
	connectToParent,
	joinCluster,
	metricsQuestion,
	PartAnswers,
	selectionMetrics,
	sessionsQuestion,
} from "@shardcast/control";
import type { FindSessions } from "@shardcast/http";
import { dieWithParent, nativeSupport } from "@shardcast/native";
import { surviveClosedOutput } from "@shardcast/process";
import type { Log } from "@shardcast/telemetry";
import { Balancer } from "./balancer.ts";

surviveClosedOutput();
if (nativeSupport().available) dieWithParent();

const parts = new PartAnswers();
let balancer: Balancer | null = null;
let log: Log | null = null;

const control = connectToParent({
	async start(message) {
		const { config, certificates, mode, handoffDescriptors } = message;
		const joined = joinCluster(message, "balancer", parts);
		log = joined.log;
		const collectMetrics = () => control.ask(metricsQuestion, null);
		const nodes = () => control.ask(clusterNodesQuestion, null);
		const sessions: FindSessions = (requests) => control.ask(sessionsQuestion, requests);
		const started = new Balancer({ ...joined, mode, handoffDescriptors, config, certificates, collectMetrics, nodes, sessions });
		balancer = started;
		if (config.redisAddress !== undefined) joined.metrics.addReading(selectionMetrics, () => started.selections);
		await started.start();
		return { port: started.port };
	},
	reload(config) {
		if (log !== null) log.level = config.logLevel;
		balancer?.reload(config);
	},
	useCertificates: (certificates) => balancer?.useCertificates(certificates),
	async drain(deadlineMs) {
		const cutOff = (await balancer?.drain(deadlineMs)) ?? 0;
		await balancer?.stop();
		return { cutOff };
	},
	parts,
});
