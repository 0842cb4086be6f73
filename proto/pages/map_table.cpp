#include "proto/pages/map_table.h"

#include "proto/pages/html.h"

namespace rotor {

std::string map_table(const ErrorMap& map,
                      const std::function<MapCell(const ErrorCell&, size_t, size_t)>& cell) {
  std::vector<std::string> columns = {"layer"};
  columns.insert(columns.end(), map.kinds.begin(), map.kinds.end());
  std::string rows;
  for (size_t layer = 0; layer < map.layers.size(); ++layer) {
    std::string cells = html_number_cell(std::to_string(map.layers[layer]));
    for (size_t kind = 0; kind < map.kinds.size(); ++kind) {
      if (map.cells[layer][kind].modules == 0) {
        cells += "<td></td>";
        continue;
      }
      const MapCell shown = cell(map.cells[layer][kind], layer, kind);
      cells += "<td style=\"background:" + shown.colour + "\" title=\"" +
               html_escaped(shown.title) + "\">" + html_escaped(shown.text) + "</td>";
    }
    rows += html_row({cells});
  }
  return rows.empty() ? rows : "<div class=\"map\">" + html_table(columns, rows) + "</div>\n";
}

}  // namespace rotor
