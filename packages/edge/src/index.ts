export { Edge } from "./edge.ts";
export { runEdge } from "./run-edge.ts";
