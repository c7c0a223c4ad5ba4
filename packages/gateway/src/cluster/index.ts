/** What the supervisor and the balancer of a gateway of several processes need. It does not load the WebSocket library. */
export { gatewayBanner } from "../banner.ts";
export { checkGateway, newlyOpen, offWithoutRedis, openMode } from "../gateway-access.ts";
export { gatewayRoutes, processesHealth } from "../gateway-routes.ts";
export { MonitorReport } from "../monitor/monitor-report.ts";
export { GatewaySupervision } from "./gateway-supervision.ts";
