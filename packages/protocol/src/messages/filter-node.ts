import { messages, string, strings } from "../schema/field.ts";
import { type MessageType, messageType } from "../schema/message-type.ts";

/** A node of a tag filter. The subscription validates and evaluates it. */
export interface FilterNode {
	/** "" = compare a tag; else "and", "or", "not" of `nodes`. */
	readonly op: string;
	readonly key: string;
	readonly cmp: string;
	readonly val: string;
	readonly vals: readonly string[];
	readonly nodes: readonly FilterNode[];
}
export const filterNode: MessageType<FilterNode> = messageType<FilterNode>("FilterNode", {
	op: string(1),
	key: string(2),
	cmp: string(3),
	val: string(4),
	vals: strings(5),
	nodes: messages(6, () => filterNode),
});
