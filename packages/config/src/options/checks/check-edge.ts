import { readNodesTls } from "../../tls/nodes-tls.ts";
import { parseEdgeNode } from "../../units/edge-node.ts";
import type { Rule } from "./check.ts";
import { fileProblem } from "./file-problem.ts";

/** Each is asked for /health on its own. */
const nodesMax = 256;

/** What must hold between the options of the edge. */
export const edgeRules: readonly Rule[] = [
	function nodesAreNamedOnce({ edgeNodes }, name) {
		if (edgeNodes.length > nodesMax) return `${name("edgeNodes")}: there are ${edgeNodes.length} nodes; the most is ${nodesMax}`;
		const texts = edgeNodes.map((item) => parseEdgeNode(item).text);
		const twice = texts.find((text, index) => texts.indexOf(text) < index);
		return twice === undefined ? null : `${name("edgeNodes")}: ${twice} is listed twice`;
	},
	function tlsToNodesIsOn(config, name) {
		if (config.edgeNodesTls) return null;
		const given = (["edgeNodesTlsCa", "edgeNodesTlsName"] as const).find((key) => config[key] !== "");
		return given === undefined ? null : `${name(given)}: the nodes are not reached with TLS; set ${name("edgeNodesTls")}`;
	},
	function noProxyHeaderBeforeTls({ edgeNodesTls, edgeSendProxy }, name) {
		if (!edgeNodesTls || !edgeSendProxy) return null;
		return `${name("edgeSendProxy")}: nodes with TLS take no PROXY header; leave it out: X-Forwarded-For names the clients' addresses`;
	},
	function caOfNodesCanBeUsed(config, name) {
		const { edgeNodesTls, edgeNodesTlsCa: path } = config;
		if (!edgeNodesTls || path === "") return null;
		const problem = fileProblem(path);
		if (problem !== null) return `${name("edgeNodesTlsCa")}: ${path} ${problem}`;
		const tls = readNodesTls(config);
		return tls !== null && "problem" in tls ? `${name("edgeNodesTlsCa")}: ${path} ${tls.problem.text}` : null;
	},
];
