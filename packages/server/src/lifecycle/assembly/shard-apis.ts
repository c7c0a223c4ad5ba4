import {
	adminCallWaitMsMax,
	adminQuestion,
	adminRequestMetrics,
	type ClusterNode,
	clusterNodesQuestion,
	metricsQuestion,
	selectionMetrics,
	sessionsQuestion,
} from "@shardcast/control";
import {
	AdminAccess,
	type AdminAnswer,
	type AdminCall,
	adminRoutes,
	clusterRoutes,
	consoleRoutes,
	NodeSelection,
	openAccess,
	type Route,
} from "@shardcast/http";
import { monotonicMs } from "@shardcast/wire";
import type { Incoming } from "../../delivery/incoming/incoming.ts";
import { ApiAccess } from "../../http/api-access.ts";
import { nodesRoute } from "../../http/nodes-route.ts";
import { PublishApi } from "../../http/publish-api.ts";
import { ServerApi } from "../../http/server-api.ts";
import { PublishRate } from "../../limits/publish-rate.ts";
import { failoverRoute } from "../../nodes/failover-route.ts";
import { rebalanceRoutes } from "../../nodes/rebalance-routes.ts";
import { RedisMessages } from "../../redis/redis-messages.ts";
import type { PublishTracing } from "../../tracing/request-span.ts";
import type { Feature } from "../feature.ts";
import type { LiveConfig } from "../live-config.ts";
import type { ShardOptions } from "../shard-options.ts";
import type { ShardChannels } from "./shard-channels.ts";

interface ShardApisParts {
	readonly options: ShardOptions;
	readonly live: LiveConfig;
	readonly channels: ShardChannels;
	readonly incoming: Incoming;
	/** Null = requests are not traced. */
	readonly tracing: PublishTracing | null;
}

/** What backends and operators ask of a shard, over HTTP and through Redis. */
export class ShardApis {
	readonly publish: PublishApi;
	readonly server: ServerApi;
	/** Messages that backends publish to Redis; null = this node takes none. */
	readonly fromRedis: RedisMessages | null;
	/** Selects nodes for clients. */
	readonly selection: NodeSelection<ClusterNode>;
	/** What the balancer serves as well: health and metrics, the nodes and orders to them, and a node for a client. */
	readonly cluster: Feature;
	readonly #access: ApiAccess;
	/** Null where the balancer serves the admin interface. */
	#admin: AdminAccess | null = null;

	constructor({ options, live, channels, incoming, tracing }: ShardApisParts) {
		const { config, row, rates, ingest, log, ask } = options;
		const { history, redis, histories } = channels;
		this.#access = new ApiAccess(live);
		const publishing = {
			incoming,
			rate: new PublishRate(rates, config.messageRate),
			counters: row,
			payloadBytesMax: config.maxPayloadBytes,
			access: this.#access,
			tracing,
			nowMs: monotonicMs,
		};
		this.publish = new PublishApi(publishing);
		const { bodyBytesMax } = this.publish.route;
		this.selection = new NodeSelection({
			nodes: () => ask(clusterNodesQuestion, null),
			sessions: (requests) => ask(sessionsQuestion, requests),
			rules: () => live.config,
			nowMs: monotonicMs,
		});
		this.server = new ServerApi({
			...publishing,
			selection: this.selection,
			publishBytesMax: bodyBytesMax,
			namespaces: () => live.namespaces,
			historyLimit: () => live.config.historyLimitMax,
			...{ histories, log: history, ask },
			audit: (fields, text) => log.warn(fields, text),
		});
		// With Kafka each node would publish the message once more.
		this.fromRedis =
			redis === null || ingest?.publisher != null
				? null
				: new RedisMessages({ ...publishing, isShared: (channel) => redis.has(channel), bytesMax: bodyBytesMax, log });
		if (redis !== null) redis.takes = this.fromRedis?.take ?? null;
		this.cluster = {
			name: "cluster",
			routes: this.#clusterRoutes(options, live),
			measures: (metrics) => {
				if (config.redisAddress !== undefined) metrics.addReading(selectionMetrics, () => this.selection.counts);
				const admin = this.#admin;
				if (admin !== null) metrics.addReading(adminRequestMetrics, () => admin.counts);
			},
		};
	}

	#clusterRoutes({ board, ask, handoff, isProxy, certificates, log }: ShardOptions, live: LiveConfig): readonly Route[] {
		const orders: Route[] = [];
		const routes = clusterRoutes({ board, access: () => openAccess(live.config), metrics: () => ask(metricsQuestion, null) });
		// The balancer serves the console's page, unless it cannot read the request.
		const isBehindBalancer = handoff !== null || isProxy !== null;
		if (isBehindBalancer && certificates.length > 0) {
			routes.push(...consoleRoutes(() => ({ token: live.config.consoleToken, authRequired: live.authRequired })));
			this.#admin = new AdminAccess({
				key: () => live.config.adminKey,
				isEncrypted: true,
				warn: (fields, text) => log.warn(fields, text),
				nowMs: monotonicMs,
			});
			orders.push(
				...adminRoutes({
					admit: this.#admin.admit,
					answer: (call) => ask(adminQuestion<AdminCall, AdminAnswer>(), call),
					waitMsMax: adminCallWaitMsMax,
				}),
			);
		}
		const asking = { ask, access: this.#access };
		const ofNodes = [nodesRoute(asking), ...rebalanceRoutes({ ...asking, config: () => live.config }), failoverRoute(asking)];
		return [...routes, ...ofNodes, this.selection.route, ...orders];
	}
}
