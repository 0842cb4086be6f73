// The pieces of an HTML page that needs nothing else: no script, no font, no picture, from here or
// elsewhere. The pages of jobs, of comparisons and of the service are made of them.
//
// Thread-safety: pure functions. What comes from outside goes through html_escaped.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace rotor {

/// `text` where HTML expects text or a quoted attribute; control characters as \xNN.
std::string html_escaped(std::string_view text);

/// A cell of a table, escaped; `number_cell` is set to the right, in digits of one width.
std::string html_cell(std::string_view text);
std::string html_number_cell(std::string_view text);

/// A row of cells, which are markup already.
std::string html_row(std::initializer_list<std::string> cells);

/// A table of such rows, a list of texts, and a part of a page with its heading; each empty where
/// there is nothing in it.
std::string html_table(const std::vector<std::string>& columns, std::string_view rows);
std::string html_list(const std::vector<std::string>& texts);
std::string html_section(std::string_view heading, std::string_view body);

/// A whole page: `head` is put into <head> as it is, `body` follows the heading.
std::string html_page(std::string_view title, std::string_view head, std::string_view body);

/// A relative error as a colour of CSS: green for 1e-4 and better over yellow to red for 1e-1 and
/// worse, by its order.
std::string error_colour(double error);

}  // namespace rotor
