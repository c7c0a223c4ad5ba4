export type { Candidate } from "./candidate.ts";
export { NoNode } from "./no-node.ts";
export { type KnownNodes, NodeSelector, type SelectableNode, type SelectionRequest, type SelectionRules } from "./node-selector.ts";
export { createStrategy, type StrategyName, strategyNames } from "./strategy.ts";
