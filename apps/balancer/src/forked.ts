import {
	adminQuestion,
	adminRequestMetrics,
	clusterNodesQuestion,
	connectToParent,
	gatewayQuestion,
	joinCluster,
	metricsQuestion,
	PartAnswers,
	type RemoteReport,
	remoteMetrics,
	remoteShardsQuestion,
	selectionMetrics,
	sessionsQuestion,
} from "@shardcast/control";
import type { AdminAnswer, AdminCall, FindSessions } from "@shardcast/http";
import { dieWithParent, nativeSupport } from "@shardcast/native";
import { surviveClosedOutput } from "@shardcast/process";
import { ClusterState, type Scoreboard } from "@shardcast/scoreboard";
import type { Log } from "@shardcast/telemetry";
import { Balancer, type GatewayPages } from "./balancer.ts";

surviveClosedOutput();
if (nativeSupport().available) dieWithParent();

const parts = new PartAnswers();
let balancer: Balancer | null = null;
let log: Log | null = null;

const control = connectToParent({
	async start(message) {
		const { config, certificates, mode, handoffDescriptors, listenDescriptor, leftDescriptor, workers } = message;
		const joined = joinCluster(message, "balancer", parts);
		log = joined.log;
		const collectMetrics = () => control.ask(metricsQuestion, null);
		const nodes = () => control.ask(clusterNodesQuestion, null);
		const sessions: FindSessions = (requests) => control.ask(sessionsQuestion, requests);
		const gateway = workers === "gateway" ? await gatewayPages(joined.board, collectMetrics) : null;
		const inherited = { handoffDescriptors, listenDescriptor, leftDescriptor };
		const admin = (call: AdminCall) => control.ask(adminQuestion<AdminCall, AdminAnswer>(), call);
		const reportRemotes = (report: RemoteReport): void => {
			// If it is lost, the next one says how they are.
			control.ask(remoteShardsQuestion, report).catch(() => {});
		};
		const asking = { admin, collectMetrics, nodes, sessions, gateway, reportRemotes };
		const started = new Balancer({ ...joined, ...inherited, ...asking, mode, config, certificates });
		balancer = started;
		if (config.redisAddress !== undefined && gateway === null) joined.metrics.addReading(selectionMetrics, () => started.selections);
		if (mode === "proxy") joined.metrics.addReading(remoteMetrics, () => started.remotes);
		joined.metrics.addReading(adminRequestMetrics, () => started.adminRequests);
		await started.start();
		return { port: started.port };
	},
	reload(config) {
		if (log !== null) log.level = config.logLevel;
		balancer?.reload(config);
	},
	useCertificates: (certificates) => balancer?.useCertificates(certificates),
	async drain(deadlineMs, _immediate, replaced) {
		return { cutOff: (await balancer?.drain(deadlineMs, replaced)) ?? 0 };
	},
	stop: async () => balancer?.stop(),
	parts,
});

/** The routes of a gateway, which a balancer of shards does not load. */
async function gatewayPages(board: Scoreboard, metrics: () => Promise<string>): Promise<GatewayPages> {
	const { gatewayRoutes, processesHealth } = await import("@shardcast/gateway/cluster");
	return (rules) =>
		gatewayRoutes({
			...rules,
			report: () => control.ask(gatewayQuestion, null),
			processes: () => processesHealth(board),
			isDraining: () => board.clusterState === ClusterState.stopping,
			metrics,
		});
}
