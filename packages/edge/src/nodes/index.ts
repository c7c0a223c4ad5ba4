export { EdgeNode } from "./edge-node.ts";
export { EdgeNodes } from "./edge-nodes.ts";
export type { KnownNode, NodeSource } from "./node-source.ts";
