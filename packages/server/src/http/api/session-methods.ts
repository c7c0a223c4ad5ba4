import { type Ask, type ClusterNode, clusterNodesQuestion } from "@shardcast/control";
import { type NodeSelection, UnknownNode } from "@shardcast/http";
import { ErrorCode } from "@shardcast/protocol";
import { NoNode } from "@shardcast/selection";
import { FieldError, payloadField, textField } from "../../json/fields.ts";
import { userField } from "../../json/user-id.ts";
import type { ApiMethod } from "./api-call.ts";
import { ApiError } from "./api-error.ts";

interface SessionMethodsParts {
	readonly ask: Ask;
	readonly selection: Pick<NodeSelection<ClusterNode>, "assign">;
}

/** The most bytes of a session's metadata, as JSON. */
export const sessionMetadataBytesMax = 4096;
/** The most characters of ids, addresses and regions, as in /cluster/select. */
export const sessionTextMax = 256;

const keys: ReadonlySet<string> = new Set(["user", "connection", "node", "address", "region", "metadata", "b64metadata"]);

/** Assigns clients to nodes. */
export function sessionMethods({ ask, selection }: SessionMethodsParts): Readonly<Record<"assign_session", ApiMethod>> {
	return {
		assign_session: async ({ fields }) => {
			const text = (name: string): string => {
				const value = textField(fields, name);
				if (!value.isWellFormed()) throw new FieldError(`${name} is not well-formed Unicode`);
				if (value.length > sessionTextMax) throw new FieldError(`${name} has more than ${sessionTextMax} characters`);
				return value;
			};
			// A misspelt node would let the strategy choose.
			const unknown = Object.keys(fields).find((name) => !keys.has(name));
			if (unknown !== undefined) throw new FieldError(`"${unknown.slice(0, 40)}" is not known here; ${[...keys].join(", ")} are`);
			text("user");
			const [user, connection] = [userField(fields), text("connection")];
			if (user === "" && connection === "") throw new FieldError("user and connection are missing; a session has one of them, or both");
			const metadata = payloadField(fields, "metadata");
			if (metadata !== null && metadata.length > sessionMetadataBytesMax)
				throw new FieldError(`metadata has more than ${sessionMetadataBytesMax} bytes`);
			const request = {
				...{ user, connection, node: text("node"), address: text("address"), region: text("region"), avoid: [] },
				metadata: metadata === null ? "" : Buffer.from(metadata).toString(),
			};
			const known = await ask(clusterNodesQuestion, null);
			if (known === null) throw new ApiError(ErrorCode.notAvailable, "this machine works alone: it has no Redis (--redis-url)");
			try {
				const { node, outcome } = await selection.assign(known, request, false);
				return JSON.stringify({ node: node.id, address: node.address, url: node.url, region: node.region, outcome });
			} catch (error) {
				if (error instanceof UnknownNode) throw new FieldError(error.message);
				if (error instanceof NoNode) throw new ApiError(ErrorCode.notAvailable, error.message);
				throw error;
			}
		},
	};
}
