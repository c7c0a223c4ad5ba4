import { disconnectQuestion, type RevocationChange, revokeQuestion, storeRevocationQuestion } from "@shardcast/control";
import { counted } from "../../counted.ts";
import { duration, optional, required, text, toggle } from "../arguments.ts";
import { plainJson } from "../plain-json.ts";
import { defineVerb, Refused, type VerbContext } from "../verb.ts";

const idBytesMax = 4096;
const dayMs = 86_400_000;

/** As the server API closes them, see `DisconnectCode`. */
const forceDisconnect = { code: 3503, reason: "force disconnect" } as const;
/** The same, for clients that may come back. */
const forceReconnect = { code: 3011, reason: "force reconnect" } as const;

/** Closes the connections of a user on all nodes, and may refuse new ones. */
export const kick = defineVerb({
	name: "kick",
	summary: "Close the connections of a user on all nodes; clients do not reconnect by themselves.",
	arguments: {
		user: required(text("<user>", { bytesMax: idBytesMax }), { help: "The user: the claim sub of its tokens." }),
		client: optional(text("<id>", { bytesMax: idBytesMax }), { help: "Only the connection with this client id." }),
		reconnect: toggle("Let the clients reconnect at once, such as to another shard."),
		block: optional(duration({ minMs: 1000, maxMs: 365 * dayMs }), {
			help: "Refuse the user for this time, such as 10m, also with a valid token.",
		}),
	},
	changes: true,
	workers: ["shard", "gateway"],
	example: "kick 42 --block 10m",
	async run({ user, client, reconnect = false, block }, context) {
		if (block !== undefined && (client !== undefined || reconnect))
			throw new Refused("--block refuses all connections of the user; leave out --client and --reconnect");
		const blockedUntil = block === undefined ? null : Math.ceil((Date.now() + block) / 1000);
		// Stored first, so that a shard that starts meanwhile has it; the order to the shards is last, so that clients are told why they are closed.
		const change = blockedUntil === null ? null : await storeBlock(user, blockedUntil, context);
		const { code, reason } = reconnect ? forceReconnect : forceDisconnect;
		const kicked = await context.cluster.ask(disconnectQuestion, { user, ...(client !== undefined && { client }), code, reason });
		const closed = kicked + (change === null ? 0 : await context.cluster.ask(revokeQuestion, change));
		return { user, closed, ...(blockedUntil !== null && { blockedUntil }) };
	},
	describe: ({ user, closed, blockedUntil }) => [
		`closed ${counted(closed, "connection")} of user ${plainJson(user)}`,
		...(blockedUntil === undefined ? [] : [`the user is refused until ${new Date(blockedUntil * 1000).toISOString()}`]),
	],
});

/** @throws Refused when there is no room for it. */
async function storeBlock(id: string, until: number, { cluster, partly }: VerbContext): Promise<RevocationChange> {
	const change = { add: { kind: "user", id, until } } as const;
	switch (await cluster.ask(storeRevocationQuestion, change)) {
		case "full":
			throw new Refused("too many users and tokens are blocked already; unblock some, or kick without --block");
		case "alone":
			partly("the user is blocked on this node only: Redis cannot be reached; the other nodes get it when Redis is reached again");
			break;
		case "unwritten":
			partly("the user is blocked, but this could not be written: if the cluster ends before it can be, it is lost; the log says why");
			break;
		default:
	}
	return change;
}
