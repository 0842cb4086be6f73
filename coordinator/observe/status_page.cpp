#include "coordinator/observe/status_page.h"

#include <CivetServer.h>

#include <utility>
#include <vector>

#include "coordinator/observe/status_html.h"

namespace rotor::coordinator {
namespace {

constexpr int kMostJobs = 50;

StatusView look(Core& core, const Clock& clock) {
  StatusView view;
  v1::ListJobsRequest request;
  request.set_page_size(kMostJobs);
  const Result<v1::ListJobsResponse> listed = core.list(request);
  const v1::ListJobsResponse jobs = listed.ok() ? *listed : v1::ListJobsResponse();
  for (const v1::Job& job : jobs.jobs()) {
    Result<std::map<int32_t, double>> errors = core.layer_errors(job.name());
    view.jobs.push_back(
        {job, errors.ok() ? std::move(errors).value() : std::map<int32_t, double>()});
  }
  view.workers = core.list_workers();
  view.now_seconds = clock.wall_us() / 1'000'000;
  return view;
}

class Page final : public CivetHandler {
 public:
  Page(Core& core, const Clock& clock) : core_(core), clock_(clock) {}

  bool handleGet(CivetServer* /*server*/, mg_connection* connection) override {
    const std::string path = mg_get_request_info(connection)->local_uri;
    if (path != "/") {
      mg_send_http_error(connection, 404, "there is one page, /");
      return true;
    }
    const std::string html = status_html(look(core_, clock_));
    mg_printf(connection,
              "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
              "Content-Length: %zu\r\nCache-Control: no-store\r\nConnection: close\r\n"
              "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
              "frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n"
              "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\r\n",
              html.size());
    mg_write(connection, html.data(), html.size());
    return true;
  }

 private:
  Core& core_;
  const Clock& clock_;
};

}  // namespace

struct StatusPage::Impl {
  Impl(Core& core, const Clock& clock, const std::vector<std::string>& options)
      : page(core, clock), server(options) {
    server.addHandler("/", page);
  }
  Page page;
  CivetServer server;  // last: it ends first
};

StatusPage::StatusPage() = default;
StatusPage::~StatusPage() = default;

Result<std::unique_ptr<StatusPage>> StatusPage::start(Core& core, const Clock& clock,
                                                      const std::string& address) {
  std::unique_ptr<StatusPage> page(new StatusPage());
  try {
    page->impl_ = std::make_unique<Impl>(
        core, clock,
        std::vector<std::string>{"listening_ports", address, "num_threads", "2",
                                 "request_timeout_ms", "10000", "enable_directory_listing", "no"});
  } catch (const CivetException& error) {
    return failed_precondition("--status-listen " + address + ": cannot listen there (" +
                               error.what() + "); give an IP address of this host and a free port")
        .with_reason("LISTEN_FAILED")
        .with_detail("status-listen", address);
  }
  return page;
}

int StatusPage::port() const {
  const std::vector<int> ports = impl_->server.getListeningPorts();
  return ports.empty() ? 0 : ports.front();
}

}  // namespace rotor::coordinator
