import { defaultConfig } from "@shardcast/config";
import { RevocationStore } from "@shardcast/control";
import { FollowedOrders } from "@shardcast/nodes";
import { silentLog } from "@shardcast/telemetry";
import type { RedisServer } from "@shardcast/testkit";
import type { RigClient } from "./gateway-rig.ts";

/** A start waits no longer than this for Redis, and goes on without: of a busy machine's Redis, the default of a second is too little. */
export const redisConnectTimeoutMs = 20_000;

/** Stands for a node of a cluster: it changes the list of blocked users and revoked tokens in Redis. `start` and `stop` must be called. */
export function standingNode(redisAddress: string): FollowedOrders {
	return new FollowedOrders({
		config: defaultConfig({ redisAddress, redisConnectTimeoutMs }),
		kept: new RevocationStore({ folder: "", isShared: true, log: silentLog() }),
		carryOut: async () => 0,
		log: silentLog(),
	});
}

/** Orders, as a node does, that the clients of a user are closed. @returns how many programs hear it. */
export function orderKick(redis: RedisServer, user: string, channel = "ws:cluster:control"): number {
	const request = { user, code: 3503, reason: "force disconnect" };
	const order = { version: 1, id: "q", node: "n1", instance: "i", question: "disconnect", request };
	return Number(redis.order("SPUBLISH", channel, JSON.stringify(order)));
}

/** The status with which a client is refused; 101 = it is not. */
export async function refusalStatus({ socket }: RigClient): Promise<number> {
	return new Promise((resolve) => {
		socket.once("open", () => resolve(101));
		socket.once("unexpected-response", (_, response) => resolve(response.statusCode!));
	});
}
