import { parseEdgeNode } from "../../units/edge-node.ts";
import type { Rule } from "./check.ts";

/** Each is asked for /health on its own. */
const nodesMax = 256;

/** What must hold between the options of the edge. */
export const edgeRules: readonly Rule[] = [
	function nodesAreNamedOnce({ edgeNodes }, name) {
		if (edgeNodes.length > nodesMax) return `${name("edgeNodes")}: there are ${edgeNodes.length} nodes; the most is ${nodesMax}`;
		const texts = edgeNodes.map((item) => parseEdgeNode(item).text);
		const twice = texts.find((text, index) => texts.indexOf(text) < index);
		return twice === undefined ? null : `${name("edgeNodes")}: ${twice} is there twice`;
	},
];
