import type { BoardRow } from "@shardcast/scoreboard";
import type { ClientOwner } from "../clients/gateway-client.ts";

/** Counts clients in the row of the process, from which the balancer takes where it sends the next one. */
export function countedOwner(owner: ClientOwner, row: Pick<BoardRow, "add" | "webSockets">): ClientOwner {
	return {
		opened: (client) => {
			row.add("opened", 1);
			row.webSockets++;
			owner.opened(client);
		},
		received: (client, message, isBinary) => owner.received(client, message, isBinary),
		closed: (client) => {
			row.add("closed", 1);
			row.webSockets--;
			owner.closed(client);
		},
		endRevoked: (client, code, reason) => owner.endRevoked(client, code, reason),
	};
}
