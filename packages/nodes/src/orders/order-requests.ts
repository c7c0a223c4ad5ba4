import { type Failover, failovers } from "@shardcast/config";
import type { FailoverOrder, RebalanceOrder } from "@shardcast/control";
import { nodesMax } from "../membership-scripts.ts";

const idMax = 64;
const countMax = 1_000_000_000;

/** A rebalance that another node has ordered. @throws Error that names the wrong field. */
export function rebalanceOrder(data: unknown): RebalanceOrder {
	const { keep, to, rate } = fieldsOf(data, "the request");
	const kept = Object.entries(fieldsOf(keep, "keep"));
	if (kept.length > nodesMax || kept.some(([id, count]) => !isId(id) || !isCount(count))) throw new Error("keep is not a table of counts");
	if (!Array.isArray(to) || to.length > nodesMax || !to.every(isId)) throw new Error("to is not a list of nodes");
	if (!isCount(rate) || rate === 0) throw new Error("rate is not a whole number from 1");
	return { keep: Object.fromEntries(kept) as Record<string, number>, to: to as string[], rate };
}

/** A failover that another node has ordered. @throws Error that names the wrong field. */
export function failoverOrder(data: unknown): FailoverOrder {
	const { node, strategy } = fieldsOf(data, "the request");
	if (!isId(node)) throw new Error("node is not an id");
	if (strategy !== undefined && !isFailover(strategy)) throw new Error("strategy is unknown");
	return { node, ...(strategy !== undefined && { strategy }) };
}

function isFailover(value: unknown): value is Failover {
	return (failovers as readonly unknown[]).includes(value);
}

function isId(value: unknown): value is string {
	return typeof value === "string" && value !== "" && value.length <= idMax;
}

function isCount(value: unknown): value is number {
	return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= countMax;
}

function fieldsOf(data: unknown, name: string): Readonly<Record<string, unknown>> {
	if (typeof data !== "object" || data === null || Array.isArray(data)) throw new Error(`${name} is not an object`);
	return data as Readonly<Record<string, unknown>>;
}
