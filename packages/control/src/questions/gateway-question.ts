import type { Question } from "../asking/question.ts";
import type { GatewayReading } from "../metrics/gateway-table.ts";

/** What a gateway of several processes does: the parts of its processes, merged. */
export const gatewayQuestion: Question<null, GatewayReading, GatewayReading> = {
	name: "gateway",
	asks: "shards",
	deadlineMs: 500,
	check: (data) => {
		const part = data as Partial<GatewayReading> | null;
		if (typeof part?.clients?.open !== "number" || !Array.isArray(part.backends)) throw new Error("it is not a part of a gateway's report");
		return part as GatewayReading;
	},
};
