import { join } from "node:path";
import { type Config, parseAddress, urlHost, usesTls } from "@shardcast/config";
import type { Workers } from "@shardcast/control";
import { adminRoutes, type HttpRequest, plainAdminWarning, Router } from "@shardcast/http";
import { socketPathBytesMax } from "@shardcast/native";
import { healthReport } from "@shardcast/scoreboard";
import { BoundedLines, type Log } from "@shardcast/telemetry";
import type { ClusterMemory } from "../cluster-memory.ts";
import type { FollowCpus } from "../operations/follow-cpus.ts";
import type { Supervisor } from "../supervisor.ts";
import { version } from "../version.ts";
import { AdminService, waitMsMax } from "./admin-service.ts";
import { adminSocketName } from "./client/find-socket.ts";
import { AdminSocket } from "./socket/admin-socket.ts";
import { connectionsMax } from "./socket/connection-room.ts";
import { unixPeer, withName } from "./socket/peer.ts";
import { serveHttp } from "./socket/serve-http.ts";
import type { AdminCluster, ReloadReport } from "./verb.ts";

/** At most one line about closed connections in this time. */
const noRoomLineMs = 10_000;

interface AdminParts {
	readonly supervisor: Supervisor;
	readonly memory: ClusterMemory;
	readonly command: "multi" | "gateway";
	readonly workers: Workers;
	readonly reload: () => Promise<ReloadReport>;
	readonly log: Log;
	/** Null in a gateway. */
	readonly follow: FollowCpus | null;
	/** Name of the option with the socket's path, for messages. */
	readonly option: string;
}

/** The admin interface of a running cluster: its verbs, and the socket on which the supervisor takes them. */
export class Admin {
	readonly service: AdminService;
	readonly #socket: AdminSocket | null;

	private constructor(service: AdminService, socket: AdminSocket | null) {
		this.service = service;
		this.#socket = socket;
	}

	/** @throws StartupError when the path of the options is taken, or no socket can be made there. */
	static async open(parts: AdminParts): Promise<Admin> {
		const { supervisor, memory, log, option } = parts;
		const service = new AdminService({
			cluster: clusterOf(parts),
			audit: (fields, text) => log.warn({ audit: "admin", ...fields }, text),
			onError: (text, error) => log.error({ err: error }, text),
			tell: (level, text) => supervisor.tell(level, text),
		});
		const reading = { closedForRoom: 0 };
		supervisor.useAdmin(service, reading);
		// Operations in progress end early, and say so.
		supervisor.stopSignal.addEventListener("abort", () => service.stop());
		const noRoom = new BoundedLines(noRoomLineMs);
		const server = serveHttp({
			router: new Router(adminRoutes({ admit: localCaller, answer: service.handle, waitMsMax }), { allowedOrigins: new Set() }),
			peerOf: unixPeer,
			onNoRoom: (who) => {
				reading.closedForRoom++;
				noRoom.offer((leftOut) => {
					const more = leftOut === 0 ? "" : `, and ${leftOut} more since the line before`;
					const why = `there are ${connectionsMax}, and it has not sent a whole request`;
					log.warn({ audit: "admin", who, leftOut }, `admin: closed a connection of ${who}: ${why}${more}`);
				});
			},
			onError: (error) => log.error({ err: error }, "admin: a handler threw an error"),
		});
		const { adminSocket } = supervisor.config;
		const usual = join(memory.path, adminSocketName);
		if (adminSocket === "" && Buffer.byteLength(usual) > socketPathBytesMax) {
			// The cluster itself may work with such a long path.
			log.warn(`there is no admin socket: ${usual} has more than ${socketPathBytesMax} bytes; give ${option} a shorter path`);
			return new Admin(service, null);
		}
		const socket = await AdminSocket.listen(server, adminSocket === "" ? usual : adminSocket, option);
		socket.linkFrom(usual);
		log.debug(`admin socket: ${socket.path}`);
		return new Admin(service, socket);
	}

	/** What others could read on the way, with these options; null = nothing. */
	static warning({ adminKey, lbAddr, ...config }: Config): string | null {
		return plainAdminWarning({ key: adminKey, isEncrypted: usesTls(config), host: parseAddress(lbAddr).host });
	}

	/** Call last: until then, the commands show how far a stop is. */
	close(): void {
		this.#socket?.close();
	}
}

/** Who can connect to the socket may do everything: the same user could kill the processes. */
function localCaller(request: HttpRequest): string {
	return withName(request.address, request.header("x-shardcast-operator"));
}

function clusterOf({ supervisor, memory, command, workers, reload, log, follow }: AdminParts): Omit<AdminCluster, "operations" | "cancel"> {
	const names = workers === "gateway" ? { process: "gateway", whole: "gateway" } : undefined;
	return {
		...{ version, command, workers, reload },
		pid: process.pid,
		startedAt: Date.now(),
		address: () => {
			const { balancerPort } = supervisor;
			return balancerPort === undefined ? null : urlHost({ ...parseAddress(supervisor.config.lbAddr), port: balancerPort });
		},
		config: () => supervisor.config,
		isStopping: () => supervisor.stopSignal.aborted,
		health: () => {
			const {
				auth: _,
				mayPublish: __,
				...health
			} = healthReport(memory.board, {
				auth: "open",
				mayPublish: { http: "nobody", webSocket: "nobody" },
				remotes: supervisor.remotes,
				...(names !== undefined && { names }),
			});
			return health;
		},
		shards: follow === null ? null : { operations: supervisor.operations, follow },
		gateway: workers === "gateway" ? () => supervisor.gatewayReport() : null,
		events: () => supervisor.events,
		tell: (level, text) => {
			log[level === "bad" ? "error" : level](text);
			supervisor.tell(level, text);
		},
		ask: supervisor.ask,
		setConfig: (config) => supervisor.reload(config),
	};
}
